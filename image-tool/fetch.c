/* SPDX-License-Identifier: Apache-2.0 */
/* fetch: takes an image from a registry, whole and verified, into the cache or a folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image-tool/guest_artifact.h"
#include "image-tool/image_cache.h"
#include "image-tool/progress.h"
#include "image-tool/report.h"
#include "image-tool/stage.h"
#include "image-tool/tool.h"
#include "lib/base/fs.h"
#include "lib/guestimg/guestimg.h"
#include "lib/image/artifact.h"
#include "lib/image/hash.h"
#include "lib/image/remote.h"

#define FETCH_MAX (16ull << 30) /* bytes of one image */

struct fetch_options {
	struct remote_options remote;
	const char *output;
	bool json, quiet;
};

struct fetch {
	const struct fetch_options *o;
	struct remote remote;
	struct image_cache cache;
	struct progress progress;
	struct buffer json; /* the manifest */
	struct digest digest;
	struct artifact image;
	struct stage stage; /* -o: the folder, and the hidden one in it */
	char *path;         /* the folder that is filled; owned */
	int fd;             /* of it */
	char *entry;        /* where it is in the end; owned */
	uint64_t received;
};

static void fetch_clear(struct fetch *f)
{
	progress_end(&f->progress);
	/* When it has become an entry, path is NULL. */
	if (f->path)
		fs_remove_tree(AT_FDCWD, f->path, NULL);
	close_fd(&f->fd);
	stage_close(&f->stage);
	free(f->path);
	free(f->entry);
	artifact_clear(&f->image);
	buffer_free(&f->json);
	image_cache_close(&f->cache);
	remote_close(&f->remote);
}

/* ---- the manifest */

static int check_list(const struct artifact *a, struct error *err)
{
	const struct artifact_file *json = artifact_find(a, GUESTIMG_FILE);
	uint64_t sum = 0;

	if (strcmp(a->type, GUEST_ARTIFACT_TYPE) != 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "it is no guest image, but \"%.100s\": kata-image-tool "
		                      "publish pushes guest images",
		                      a->type);
	if (!json || json->size > GUESTIMG_MAX_SIZE)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the artifact has no " GUESTIMG_FILE "%s",
		                      json ? " of at most 4 MiB" : "");
	for (size_t i = 0; i < a->n_files; i++)
		if (__builtin_add_overflow(sum, a->files[i].size, &sum) || sum > FETCH_MAX)
			return error_set_kind(err, ERROR_INPUT, EFBIG,
			                      "the image is larger than %llu GiB", FETCH_MAX >> 30);
	if (artifact_find(a, IMAGE_CACHE_MANIFEST))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the artifact has a file " IMAGE_CACHE_MANIFEST);
	return 0;
}

/* By tag the registry is asked; *digest is then what the bytes have. */
static int get_manifest(struct fetch *f, struct error *err)
{
	const struct reference *ref = &f->remote.ref;
	const struct digest *known = ref->digest.text[0] ? &ref->digest : NULL;
	_cleanup_free_ char *type = NULL;
	int r = registry_manifest(f->remote.registry, f->remote.http, reference_version(ref),
	                          &f->json, &type, err);

	if (r == 0 && known)
		r = hash_check(known, f->json.data, f->json.size, "the manifest", err);
	if (r == 0 && known)
		f->digest = *known;
	else if (r == 0)
		r = hash_bytes(DIGEST_SHA256, f->json.data, f->json.size, &f->digest, err);
	if (r == 0)
		r = artifact_parse(f->json.data, f->json.size, &f->image, err);
	return r < 0 ? r : check_list(&f->image, err);
}

/* ---- files */

struct incoming {
	int fd;
	struct hash *hash;
	uint64_t size, left;
};

static int on_bytes(void *data, const uint8_t *p, size_t n, struct error *err)
{
	struct incoming *in = data;
	int r;

	if (n > in->left)
		return error_set_kind(
		    err, ERROR_VERIFICATION, EFBIG,
		    "it is larger than the %" PRIu64 " bytes that the manifest says", in->size);
	in->left -= n;
	r = fs_write_all(in->fd, p, n);
	if (r < 0) {
		error_errno(err, -r, "cannot write it");
		if (err)
			err->kind = ERROR_ENVIRONMENT;
		return r;
	}
	return hash_update(in->hash, p, n, err);
}

static int receive(struct fetch *f, const struct artifact_file *file, struct incoming *in,
                   struct error *err)
{
	struct image_descriptor blob = {.digest = file->digest, .size = file->size};
	struct digest got;
	int r = registry_blob(f->remote.registry, f->remote.http, &blob, on_bytes, in, err);

	if (r == 0 && in->left > 0)
		return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
		                      "it ends %" PRIu64 " bytes early", in->left);
	if (r == 0)
		r = hash_final(in->hash, &got, err);
	if (r == 0 && !digest_equal(&got, &file->digest))
		return hash_mismatch(&file->digest, &got, "it", err);
	return r;
}

static int create(struct fetch *f, const char *name, int *fd, struct error *err)
{
	*fd = openat(f->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (*fd >= 0 && fchmod(*fd, 0644) == 0)
		return 0;
	error_errno(err, errno, "cannot write %s/%s", f->path, name);
	if (err)
		err->kind = ERROR_ENVIRONMENT;
	return err ? err->code : -EIO;
}

static int get_file(struct fetch *f, const struct artifact_file *file, struct error *err)
{
	_cleanup_hash_ struct hash *hash = NULL;
	_cleanup_close_ int fd = -1;
	struct incoming in = {.size = file->size, .left = file->size};
	const struct stage filled = {.path = f->path};
	int r = create(f, file->name, &fd, err);

	progress_step(&f->progress, "FETCH", file->name, &filled, file->size);
	if (r == 0)
		r = hash_new(digest_algorithm(&file->digest), &hash, err);
	in.fd = fd;
	in.hash = hash;
	if (r == 0)
		r = receive(f, file, &in, err);
	if (r < 0)
		return error_prefix(err, r, "%s", file->name);
	f->received += file->size;
	return 0;
}

static bool names_sha256(const struct artifact_file *file, const struct guestimg_file *want)
{
	return str_starts(file->digest.text, "sha256:") &&
	       strcmp(file->digest.text + strlen("sha256:"), want->sha256) == 0;
}

static bool is_companion(const char *name)
{
	static const char *const companions[] = GUEST_COMPANIONS;

	for (size_t i = 0; i < sizeof(companions) / sizeof(*companions); i++)
		if (strcmp(name, companions[i]) == 0)
			return true;
	return false;
}

/* image.json and the manifest name the same files. */
static int check_description(const struct fetch *f, struct error *err)
{
	_cleanup_guestimg_ struct guestimg *img = NULL;
	int r = guestimg_load(f->path, &img, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < img->n_files; i++) {
		const struct guestimg_file *want = &img->files[i];
		const struct artifact_file *file = artifact_find(&f->image, want->name);

		if (!file)
			return error_set_kind(
			    err, ERROR_INPUT, ENOENT,
			    "the artifact lacks %s, which " GUESTIMG_FILE " names", want->name);
		if (file->size != want->size || !names_sha256(file, want))
			return error_set_kind(
			    err, ERROR_VERIFICATION, EBADMSG,
			    "the artifact's %s is not the file that " GUESTIMG_FILE " names",
			    want->name);
	}
	for (size_t i = 0; i < f->image.n_files; i++) {
		const char *name = f->image.files[i].name;

		if (strcmp(name, GUESTIMG_FILE) != 0 && !is_companion(name) &&
		    !guestimg_find(img, name))
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "the artifact has a file %s, which " GUESTIMG_FILE
			                      " does not name",
			                      name);
	}
	return 0;
}

/* image.json first: what does not fit is seen before the rest is fetched. */
static int get_files(struct fetch *f, struct error *err)
{
	const struct artifact *a = &f->image;
	int r = get_file(f, artifact_find(a, GUESTIMG_FILE), err);

	if (r == 0)
		r = check_description(f, err);
	for (size_t i = 0; r == 0 && i < a->n_files; i++)
		if (strcmp(a->files[i].name, GUESTIMG_FILE) != 0)
			r = get_file(f, &a->files[i], err);
	return r;
}

/* ---- into the cache */

static int write_manifest(struct fetch *f, struct error *err)
{
	_cleanup_close_ int fd = -1;
	int r = create(f, IMAGE_CACHE_MANIFEST, &fd, err);

	if (r == 0)
		r = fs_write_all(fd, f->json.data, f->json.size);
	return r < 0 ? error_set_kind(err, ERROR_ENVIRONMENT, -r, "cannot write %s: %s",
	                              IMAGE_CACHE_MANIFEST, strerror(-r))
	             : 0;
}

/* A digest that is in the cache needs no registry. */
static int to_cache(struct fetch *f, struct error *err)
{
	const struct reference *ref = &f->remote.ref;
	int r = image_cache_open(&f->cache, err);

	f->digest = ref->digest;
	if (r == 0)
		r = ref->digest.text[0] ? image_cache_find(&f->cache, &ref->digest, &f->entry, err)
		                        : 1;
	if (r <= 0)
		return r;
	r = get_manifest(f, err);
	if (r == 0)
		r = image_cache_find(&f->cache, &f->digest, &f->entry, err);
	if (r <= 0)
		return r;
	r = image_cache_begin(&f->cache, &f->path, &f->fd, err);
	if (r == 0)
		r = get_files(f, err);
	if (r == 0)
		r = write_manifest(f, err);
	if (r == 0)
		r = image_cache_commit(&f->cache, f->path, &f->digest, &f->entry, err);
	if (r == 0)
		free(steal_ptr(&f->path));
	return r;
}

/* ---- into a folder */

/* There is no such folder, or an empty one. */
static int check_output(const char *dir, struct error *err)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	struct dirent *e;

	if (!*dir)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "--output: name a folder");
	if (!d && errno != ENOENT)
		return error_set_kind(err, ERROR_ENVIRONMENT, errno, "cannot write to %s: %s", dir,
		                      strerror(errno));
	/* What a killed fetch left is not in the way. */
	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    !str_starts(e->d_name, STAGE_PREFIX))
			return error_set_kind(
			    err, ERROR_ENVIRONMENT, EEXIST,
			    "%s is not empty: name a folder that is, or a new one", dir);
	return 0;
}

/* In a hidden folder inside: the folder may be a mount point, or its parent somebody else's. */
static int begin_output(struct fetch *f, struct error *err)
{
	int r = stage_open(&f->stage, f->o->output, err);

	if (r < 0)
		return r;
	f->entry = strdup(f->o->output);
	f->path = strdup(f->stage.path);
	if (!f->entry || !f->path)
		return error_set(err, ENOMEM, "no memory for a file name");
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return f->fd >= 0 ? 0
	                  : error_set_kind(err, ERROR_ENVIRONMENT, errno, "cannot write to %s: %s",
	                                   f->entry, strerror(errno));
}

/* image.json comes last: it says that the others are whole. */
static int publish_output(struct fetch *f, struct error *err)
{
	const char *names[ARTIFACT_MAX_FILES + 1];
	size_t n = 0;
	int r;

	for (size_t i = 0; i < f->image.n_files; i++)
		if (strcmp(f->image.files[i].name, GUESTIMG_FILE) != 0)
			names[n++] = f->image.files[i].name;
	names[n++] = GUESTIMG_FILE;
	r = stage_publish_files(&f->stage, ".", names, n, err);
	for (size_t i = 0; r < 0 && i < n; i++)
		unlinkat(f->stage.lock_fd, names[i], 0);
	return r;
}

static int to_folder(struct fetch *f, struct error *err)
{
	int r = check_output(f->o->output, err);

	if (r == 0)
		r = get_manifest(f, err);
	if (r == 0)
		r = begin_output(f, err);
	if (r == 0)
		r = get_files(f, err);
	return r < 0 ? r : publish_output(f, err);
}

/* ---- the verb */

static int print(const struct fetch *f, struct error *err)
{
	_cleanup_report_ struct report r;

	report_init(&r, true);
	if (!f->o->json) {
		printf("%s\n", f->entry);
		return 0;
	}
	report_string(&r, "path", f->entry);
	report_string(&r, "digest", f->digest.text);
	report_number(&r, "bytes_received", f->received);
	return report_print(&r, err);
}

static int fetch(struct fetch *f, const char *reference, struct error *err)
{
	int r = remote_open(&f->remote, reference, &f->o->remote, tool_stop(), err);

	if (r < 0)
		return r;
	progress_init(&f->progress, f->o->quiet || f->o->json);
	r = f->o->output ? to_folder(f, err) : to_cache(f, err);
	progress_end(&f->progress);
	return r < 0 ? error_prefix(err, r, "%s", reference) : print(f, err);
}

static int run_fetch(int argc, char **argv, void *data)
{
	_cleanup_(fetch_clear) struct fetch f = {
	    .o = data, .cache = IMAGE_CACHE_INIT, .stage = STAGE_INIT, .fd = -1};
	struct error err = ERROR_INIT;

	tool_catch_signals();
	return fetch(&f, argv[0], &err) < 0 ? tool_fail(&err) : 0;
}

static void release(void *data)
{
	remote_options_free(&((struct fetch_options *)data)->remote);
}

static const struct option options[] = {
    {"output", 'o', OPTION_STRING, offsetof(struct fetch_options, output), "DIR", NULL,
     "Write the image to DIR, a new or empty folder, instead of the cache."},
    REMOTE_OPTION_ROWS(struct fetch_options, remote),
    {"json", 0, OPTION_FLAG, offsetof(struct fetch_options, json), NULL, NULL,
     "Print the result as one JSON object."},
    {"quiet", 'q', OPTION_FLAG, offsetof(struct fetch_options, quiet), NULL, NULL,
     "Print the folder only, not each file that comes."},
    {NULL},
};

const struct verb verb_fetch = {
    .name = "fetch",
    .args = "REGISTRY/REF",
    .summary = "Fetches an image that was published.",
    .details =
        "Takes a guest image, which 'publish' pushed, from its registry and prints the folder\n"
        "that it is in. The manifest is checked by its digest when the reference has one, every\n"
        "file by the manifest, and the manifest by image.json; the folder appears when all\n"
        "holds. Without -o that is $XDG_CACHE_HOME/kihon/images/sha256-DIGEST (XDG_CACHE_HOME:\n"
        "~/.cache), for 'kihon boot', which calls this. What is there is checked, not fetched;\n"
        "with a digest in the reference the registry is not even asked. Entries may be removed\n"
        "at any time.\n"
        "\n"
        "Exit status 5: a digest does not hold. Who made an image is not checked: see\n"
        "'verify --key'.\n"
        "\n"
        "Example: kata-image-tool fetch registry.example/guest:1.0 -o guest",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run_fetch,
    .release = release,
    .data_size = sizeof(struct fetch_options),
};
