/* SPDX-License-Identifier: Apache-2.0 */
/* oci_dest: names, the hidden folder, and what is made in it. */
#include "lib/image/oci_dest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/fs.h"
#include "lib/image/hash.h"
#include "lib/image/oci_dest_private.h"
#include "lib/oci/image_index.h"

#define STAGE_MARK   ".convert-"
#define STAGE_INSIDE "." STAGE_MARK /* how its name begins in a folder that is added to */
#define LEFTOVER_AGE 60             /* seconds */

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

int dest_cannot(struct error *err, int errnum, const char *doing, const char *what)
{
	int r = error_errno(err, errnum, "cannot %s %s", doing, what);

	if (err)
		err->kind = ERROR_ENVIRONMENT;
	return r;
}

/* ---- names */

static const struct {
	const char *prefix;
	enum dest_kind kind;
} prefixes[] = {
    {"oci:", DEST_LAYOUT},
    {"oci-archive:", DEST_ARCHIVE},
    {"docker://", DEST_REGISTRY},
};

static bool parent_exists(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = slash ? strndup(path, (size_t)(slash - path)) : NULL;
	struct stat st;

	return parent && stat(parent, &st) == 0 && S_ISDIR(st.st_mode);
}

static enum dest_kind guess(const char *name)
{
	static const char *const endings[] = {".tar", ".tar.gz", ".tgz", ".tar.zst"};
	size_t n = strlen(name);
	const char *colon = strrchr(name, ':');
	struct reference ref;

	if (strstr(name, ".tar:"))
		return DEST_ARCHIVE;
	if (colon && !strchr(colon, '/'))
		n = (size_t)(colon - name);
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t k = strlen(endings[i]);

		if (n > k && !memcmp(name + n - k, endings[i], k))
			return DEST_ARCHIVE;
	}
	if (name[0] == '/' || name[0] == '.' || !strchr(name, '/') || parent_exists(name))
		return DEST_LAYOUT;
	return reference_parse(name, &ref, NULL) || !ref.host_given ? DEST_LAYOUT : DEST_REGISTRY;
}

/* PATH[:TAG]: a ':' in the last component begins the tag. */
static int split_path(struct oci_dest *d, const char *name, struct error *err)
{
	const char *slash = strrchr(name, '/');
	const char *colon = strchr(slash ? slash : name, ':');
	size_t n = colon ? (size_t)(colon - name) : strlen(name);

	/* TAG may have a '/' (the full name of an image) behind an archive's name, or when PATH
	 * exists up to a ':' before. */
	for (const char *c = strchr(name, ':'); c && c < colon; c = strchr(c + 1, ':')) {
		_cleanup_free_ char *head = strndup(name, (size_t)(c - name));

		if (!head || !(fs_exists(head) || str_ends(head, ".tar")))
			continue;
		colon = c;
		n = (size_t)(c - name);
	}
	while (n > 1 && name[n - 1] == '/')
		n--;
	d->path = strndup(name, n);
	d->tag = colon ? strdup(colon + 1) : NULL;
	if (!d->path || (colon && !d->tag))
		return no_memory(err);
	if (!*d->path || (d->tag && !*d->tag))
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "\"%.200s\" is no destination: give PATH or PATH:TAG", name);
	if (d->tag && !image_ref_name_ok(d->tag))
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "\"%.200s\" is no name of an image: give letters and digits "
		                      "with one of - . _ : @ + / between them",
		                      d->tag);
	return 0;
}

/* ---- the hidden folder */

/* Hidden folders of the same name whose owners are gone (their lock is). */
static void remove_leftovers(const char *parent, const char *prefix)
{
	_cleanup_closedir_ DIR *dir = opendir(parent);
	const struct dirent *e;

	while (dir && (e = readdir(dir))) {
		_cleanup_close_ int fd = -1;
		struct stat st;

		if (!str_starts(e->d_name, prefix))
			continue;
		fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		/* A new one may be on its way to its lock. */
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 &&
		    st.st_mtime < time(NULL) - LEFTOVER_AGE)
			fs_remove_tree(dirfd(dir), e->d_name, NULL);
	}
}

static int make_stage(struct oci_dest *d, const char *parent, const char *name, struct error *err)
{
	_cleanup_free_ char *prefix = str_printf(".%s" STAGE_MARK, name);

	d->stage = prefix ? str_printf("%s/%sXXXXXX", parent, prefix) : NULL;
	if (!d->stage)
		return no_memory(err);
	remove_leftovers(parent, prefix);
	if (!mkdtemp(d->stage)) {
		int e = errno;

		free(steal_ptr(&d->stage));
		return dest_cannot(err, e, "write to", parent);
	}
	d->stage_fd = open(d->stage, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->stage_fd < 0 || flock(d->stage_fd, LOCK_EX | LOCK_NB) < 0 ||
	    mkdirat(d->stage_fd, "blobs", 0755) < 0 || mkdirat(d->stage_fd, DEST_BLOBS, 0755) < 0 ||
	    fchmodat(d->stage_fd, "blobs", 0755, 0) < 0 ||
	    fchmodat(d->stage_fd, DEST_BLOBS, 0755, 0) < 0)
		return dest_cannot(err, errno, "write to", d->stage);
	return 0;
}

/* Beside the path, so that a rename puts it there. */
static int stage_beside(struct oci_dest *d, struct error *err)
{
	const char *slash = strrchr(d->path, '/');
	_cleanup_free_ char *parent =
	    !slash ? strdup(".")
	           : strndup(d->path, slash == d->path ? 1 : (size_t)(slash - d->path));

	return parent ? make_stage(d, parent, slash ? slash + 1 : d->path, err) : no_memory(err);
}

/* But for what a killed conversion left. */
static bool is_empty(int fd)
{
	_cleanup_closedir_ DIR *dir = fdopendir(dup(fd));
	const struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
		    !str_starts(e->d_name, STAGE_INSIDE))
			return false;
	return dir;
}

/* A folder that is there stays what it is: a mount point, one that a link leads to, one whose
 * parent belongs to somebody else. */

static int open_layout(struct oci_dest *d, struct error *err)
{
	_cleanup_close_ int fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		struct stat st;

		return lstat(d->path, &st) < 0
		           ? stage_beside(d, err)
		           : error_set_kind(err, ERROR_INPUT, ENOENT,
		                            "%s is a link that leads nowhere", d->path);
	}
	if (fd < 0)
		return errno == ENOTDIR
		           ? error_set_kind(err, ERROR_INPUT, ENOTDIR,
		                            "%s is a file, not an image layout (an archive is "
		                            "oci-archive:FILE)",
		                            d->path)
		           : dest_cannot(err, errno, "write to", d->path);
	d->fresh = is_empty(fd);
	if (!d->fresh && faccessat(fd, DEST_LAYOUT_FILE, F_OK, 0) < 0)
		return error_set_kind(err, ERROR_INPUT, EEXIST,
		                      "%s is neither empty nor an OCI image layout", d->path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return error_set_kind(err, ERROR_ENVIRONMENT, EBUSY,
		                      "%s is being written to by another", d->path);
	d->dir_fd = steal_fd(&fd);
	d->adding = true;
	return make_stage(d, d->path, "", err);
}

static int open_archive(struct oci_dest *d, struct error *err)
{
	struct stat st;

	if (str_ends(d->path, ".gz") || str_ends(d->path, ".tgz") || str_ends(d->path, ".zst"))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s: archives are written without compression, as FILE.tar",
		                      d->path);
	if (stat(d->path, &st) == 0 && S_ISDIR(st.st_mode))
		return error_set_kind(err, ERROR_INPUT, EISDIR, "%s is a folder", d->path);
	return stage_beside(d, err);
}

static int open_registry(struct oci_dest *d, const char *name, const struct remote_options *remote,
                         struct error *err)
{
	const char *tmp = getenv("TMPDIR");
	const struct reference *ref = &d->remote.ref;
	int r;

	if (!remote)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%.300s: no registry is asked here",
		                      name);
	r = remote_open(&d->remote, name, remote, d->cancel, err);
	if (r)
		return r;
	if (ref->digest.text[0])
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "%.300s: an image is written to a tag, not to a digest",
		                      name);
	d->path = strdup(name);
	d->tag = strdup(ref->tag);
	d->repository = str_printf("%s/%s", ref->host, ref->repository);
	if (!d->path || !d->tag || !d->repository)
		return no_memory(err);
	return make_stage(d, str_empty(tmp) ? "/var/tmp" : tmp, "kihon", err);
}

static int open_dest(struct oci_dest *d, const char *name, const struct remote_options *remote,
                     struct error *err)
{
	int r;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]) && !d->kind; i++)
		if (str_starts(name, prefixes[i].prefix)) {
			d->kind = prefixes[i].kind;
			name += strlen(prefixes[i].prefix);
		}
	if (!d->kind && (str_starts(name, "docker-archive:") || str_starts(name, "dir:")))
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "%.200s: images are written as oci:DIR, oci-archive:FILE or to "
		    "a registry",
		    name);
	if (!d->kind)
		d->kind = guess(name);
	if (d->kind == DEST_REGISTRY)
		return open_registry(d, name, remote, err);
	r = split_path(d, name, err);
	if (r)
		return r;
	return d->kind == DEST_LAYOUT ? open_layout(d, err) : open_archive(d, err);
}

int oci_dest_open(const char *name, const struct remote_options *remote, const atomic_bool *cancel,
                  struct oci_dest **out, struct error *err)
{
	struct oci_dest *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return no_memory(err);
	d->stage_fd = d->dir_fd = -1;
	d->cancel = cancel;
	pthread_mutex_init(&d->lock, NULL);
	r = open_dest(d, name, remote, err);
	if (r)
		oci_dest_close(d);
	else
		*out = d;
	return r;
}

void oci_dest_close(struct oci_dest *d)
{
	if (!d)
		return;
	if (d->stage)
		fs_remove_tree(AT_FDCWD, d->stage, NULL);
	close_fd(&d->stage_fd);
	close_fd(&d->dir_fd);
	remote_close(&d->remote);
	for (size_t i = 0; i < d->n_manifests; i++) {
		free(d->manifests[i].tag);
		free(d->manifests[i].platform_json);
		buffer_free(&d->manifests[i].json);
	}
	for (size_t i = 0; i < d->n_files; i++) {
		free(d->files[i].path);
		buffer_free(&d->files[i].data);
	}
	pthread_mutex_destroy(&d->lock);
	free(d->blobs);
	free(d->stage);
	free(d->path);
	free(d->tag);
	free(d->repository);
	free(d);
}

const char *oci_dest_repository(const struct oci_dest *d)
{
	return d->repository;
}

bool oci_dest_is_folder(const struct oci_dest *d)
{
	return d->kind == DEST_LAYOUT;
}

const char *oci_dest_tag(const struct oci_dest *d)
{
	return d->tag;
}

/* ---- blobs */

int oci_blob_new(struct oci_dest *d, struct oci_blob *b, struct error *err)
{
	pthread_mutex_lock(&d->lock);
	snprintf(b->name, sizeof(b->name), "blob-%u", d->serial++);
	pthread_mutex_unlock(&d->lock);
	b->fd = openat(d->stage_fd, b->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (b->fd < 0 || fchmod(b->fd, 0644) < 0)
		return dest_cannot(err, errno, "write to", d->stage);
	return 0;
}

static int note_blob(struct oci_dest *d, const struct digest *digest, uint64_t size)
{
	for (size_t i = 0; i < d->n_blobs; i++)
		if (digest_equal(&d->blobs[i].digest, digest))
			return 0;
	if (d->n_blobs == d->blobs_room) {
		size_t room = d->blobs_room ? 2 * d->blobs_room : 16;
		struct dest_blob *p = reallocarray(d->blobs, room, sizeof(*p));

		if (!p)
			return -ENOMEM;
		d->blobs = p;
		d->blobs_room = room;
	}
	d->blobs[d->n_blobs++] = (struct dest_blob){.digest = *digest, .size = size};
	return 0;
}

int oci_blob_done(struct oci_dest *d, struct oci_blob *b, const struct digest *digest,
                  uint64_t size, struct error *err)
{
	char path[DEST_PATH_MAX];
	int r;

	close_fd(&b->fd);
	dest_blob_path(digest, path);
	if (renameat(d->stage_fd, b->name, d->stage_fd, path) < 0)
		return dest_cannot(err, errno, "write to", d->stage);
	pthread_mutex_lock(&d->lock);
	r = note_blob(d, digest, size);
	pthread_mutex_unlock(&d->lock);
	return r ? no_memory(err) : 0;
}

void oci_blob_keep(struct oci_blob *b)
{
	close_fd(&b->fd);
}

int oci_blob_open(struct oci_dest *d, struct oci_blob *b, struct error *err)
{
	if (b->fd < 0)
		b->fd = openat(d->stage_fd, b->name, O_RDWR | O_CLOEXEC);
	return b->fd < 0 ? dest_cannot(err, errno, "write to", d->stage) : 0;
}

char *oci_blob_path(const struct oci_dest *d, const struct oci_blob *b)
{
	return str_printf("%s/%s", d->stage, b->name);
}

char *oci_dest_stage(struct oci_dest *d)
{
	return d->stage;
}

int oci_dest_bytes(struct oci_dest *d, const void *data, size_t size, struct image_descriptor *desc,
                   struct error *err)
{
	struct oci_blob b = OCI_BLOB_INIT;
	int r = hash_bytes(DIGEST_SHA256, data, size, &desc->digest, err);

	desc->size = size;
	if (!r)
		r = oci_blob_new(d, &b, err);
	if (r)
		return r;
	r = fs_write_all(b.fd, data, size);
	if (r) {
		close_fd(&b.fd);
		return dest_cannot(err, -r, "write to", d->stage);
	}
	return oci_blob_done(d, &b, &desc->digest, size, err);
}

int oci_dest_manifest(struct oci_dest *d, const char *tag, const void *json, size_t size,
                      const char *platform_json, struct image_descriptor *desc, struct error *err)
{
	struct dest_manifest *m = &d->manifests[d->n_manifests];
	int r = hash_bytes(DIGEST_SHA256, json, size, &desc->digest, err);

	desc->size = size;
	if (!r && d->kind != DEST_REGISTRY)
		r = oci_dest_bytes(d, json, size, desc, err);
	if (!r && d->n_manifests == DEST_MANIFESTS_MAX)
		r = error_set(err, E2BIG, "more than %d manifests", DEST_MANIFESTS_MAX);
	if (r)
		return r;
	d->n_manifests++;
	m->desc = *desc;
	m->tag = tag ? strdup(tag) : NULL;
	m->platform_json = platform_json ? strdup(platform_json) : NULL;
	buffer_append(&m->json, json, size);
	return (tag && !m->tag) || (platform_json && !m->platform_json) || m->json.failed
	           ? no_memory(err)
	           : 0;
}

int oci_dest_file(struct oci_dest *d, const char *path, const void *data, size_t size,
                  struct error *err)
{
	struct dest_file *f = &d->files[d->n_files];

	if (d->kind != DEST_LAYOUT)
		return error_set(err, EOPNOTSUPP, "%s is no folder", d->path);
	if (d->n_files == DEST_FILES_MAX)
		return error_set(err, E2BIG, "more than %d files", DEST_FILES_MAX);
	d->n_files++;
	f->path = strdup(path);
	buffer_append(&f->data, data, size);
	return !f->path || f->data.failed ? no_memory(err) : 0;
}
