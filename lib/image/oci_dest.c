/* SPDX-License-Identifier: Apache-2.0 */
/* oci_dest: see the header. */
#include "lib/image/oci_dest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "lib/base/fs.h"
#include "lib/image/hash.h"
#include "lib/image/oci_dest_archive.h"
#include "lib/image/oci_dest_index.h"
#include "lib/image/push.h"

#define STAGE_MARK    ".convert-"
#define BLOBS         "blobs/sha256"
#define LAYOUT_FILE   "oci-layout"
#define LAYOUT_TEXT   "{\"imageLayoutVersion\":\"1.0.0\"}"
#define INDEX_FILE    "index.json"
#define MANIFESTS_MAX 8
#define FILES_MAX     8
#define BLOB_PATH_MAX 96 /* "blobs/sha256/<64 hex digits>" */

enum dest_kind { DEST_UNKNOWN, DEST_LAYOUT, DEST_ARCHIVE, DEST_REGISTRY };

struct dest_blob {
	struct digest digest;
	uint64_t size;
	bool moved; /* into a layout that was there */
};

struct dest_file {
	char *path;
	struct buffer data;
};

struct oci_dest {
	enum dest_kind kind;
	bool adding; /* DEST_LAYOUT: to one that was there */
	char *path;  /* of the folder or file, owned */
	char *tag;   /* owned, may be NULL */
	char *repository;
	char *stage; /* the hidden folder, owned; locked by stage_fd */
	int stage_fd;
	int dir_fd; /* of the layout that is added to */
	struct remote remote;
	const atomic_bool *cancel;

	pthread_mutex_t lock; /* of all below */
	unsigned int serial;
	struct dest_blob *blobs; /* owned */
	size_t n_blobs, blobs_room;
	struct dest_manifest manifests[MANIFESTS_MAX];
	size_t n_manifests;
	struct dest_file files[FILES_MAX];
	size_t n_files;
};

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

static int cannot(struct error *err, int errnum, const char *doing, const char *what)
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
	size_t n = strlen(name);
	const char *colon = strrchr(name, ':');

	if (colon && !strchr(colon, '/'))
		n = (size_t)(colon - name);
	if (n > 4 && !memcmp(name + n - 4, ".tar", 4))
		return DEST_ARCHIVE;
	if (name[0] == '/' || name[0] == '.' || !strchr(name, '/') || parent_exists(name))
		return DEST_LAYOUT;
	return DEST_REGISTRY;
}

/* PATH[:TAG]: a ':' in the last component begins the tag. */
static int split_path(struct oci_dest *d, const char *name, struct error *err)
{
	const char *slash = strrchr(name, '/');
	const char *colon = strchr(slash ? slash : name, ':');
	size_t n = colon ? (size_t)(colon - name) : strlen(name);

	/* TAG may have a '/' (the full name of an image) when PATH exists up to a ':' before. */
	for (const char *c = strchr(name, ':'); c && c < colon; c = strchr(c + 1, ':')) {
		_cleanup_free_ char *head = strndup(name, (size_t)(c - name));

		if (!head || !fs_exists(head))
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

		if (!str_starts(e->d_name, prefix))
			continue;
		fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
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
		return cannot(err, e, "write to", parent);
	}
	d->stage_fd = open(d->stage, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->stage_fd < 0 || flock(d->stage_fd, LOCK_EX | LOCK_NB) < 0 ||
	    mkdirat(d->stage_fd, "blobs", 0755) < 0 || mkdirat(d->stage_fd, BLOBS, 0755) < 0 ||
	    fchmodat(d->stage_fd, "blobs", 0755, 0) < 0 ||
	    fchmodat(d->stage_fd, BLOBS, 0755, 0) < 0)
		return cannot(err, errno, "write to", d->stage);
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

static bool is_empty(int fd)
{
	_cleanup_closedir_ DIR *dir = fdopendir(dup(fd));
	const struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			return false;
	return dir;
}

static int open_layout(struct oci_dest *d, struct error *err)
{
	_cleanup_close_ int fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return stage_beside(d, err);
	if (fd < 0)
		return errno == ENOTDIR
		           ? error_set_kind(err, ERROR_INPUT, ENOTDIR,
		                            "%s is a file, not an image layout (an archive is "
		                            "oci-archive:FILE)",
		                            d->path)
		           : cannot(err, errno, "write to", d->path);
	if (is_empty(fd))
		return stage_beside(d, err);
	if (faccessat(fd, LAYOUT_FILE, F_OK, 0) < 0)
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

const char *oci_dest_tag(const struct oci_dest *d)
{
	return d->tag;
}

/* ---- blobs */

static void blob_path(const struct digest *digest, char out[BLOB_PATH_MAX])
{
	snprintf(out, BLOB_PATH_MAX, BLOBS "/%.64s", digest->text + strlen("sha256:"));
}

int oci_blob_new(struct oci_dest *d, struct oci_blob *b, struct error *err)
{
	pthread_mutex_lock(&d->lock);
	snprintf(b->name, sizeof(b->name), "blob-%u", d->serial++);
	pthread_mutex_unlock(&d->lock);
	b->fd = openat(d->stage_fd, b->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (b->fd < 0 || fchmod(b->fd, 0644) < 0)
		return cannot(err, errno, "write to", d->stage);
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
	char path[BLOB_PATH_MAX];
	int r;

	close_fd(&b->fd);
	blob_path(digest, path);
	if (renameat(d->stage_fd, b->name, d->stage_fd, path) < 0)
		return cannot(err, errno, "write to", d->stage);
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
	return b->fd < 0 ? cannot(err, errno, "write to", d->stage) : 0;
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
		return cannot(err, -r, "write to", d->stage);
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
	if (!r && d->n_manifests == MANIFESTS_MAX)
		r = error_set(err, E2BIG, "more than %d manifests", MANIFESTS_MAX);
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
	if (d->n_files == FILES_MAX)
		return error_set(err, E2BIG, "more than %d files", FILES_MAX);
	d->n_files++;
	f->path = strdup(path);
	buffer_append(&f->data, data, size);
	return !f->path || f->data.failed ? no_memory(err) : 0;
}

/* ---- putting all into its place */

static int write_file(const char *dir, const char *name, const void *data, size_t size,
                      struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/%s", dir, name);
	_cleanup_free_ char *parent =
	    path ? strndup(path, (size_t)(strrchr(path, '/') - path)) : NULL;
	int r;

	if (!parent)
		return no_memory(err);
	r = fs_mkdir_p(parent, 0755, err);
	if (!r)
		r = fs_write_file_atomic(path, data, size, 0644, err);
	if (r && err)
		err->kind = ERROR_ENVIRONMENT;
	return r;
}

static int write_files(const struct oci_dest *d, const char *dir, struct error *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < d->n_files; i++)
		r = write_file(dir, d->files[i].path, d->files[i].data.data, d->files[i].data.size,
		               err);
	return r;
}

static int write_index(const struct oci_dest *d, const char *dir, const struct buffer *old,
                       struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int r = dest_index(old, d->manifests, d->n_manifests, &text, err);

	return r ? r : write_file(dir, INDEX_FILE, text.data, text.size, err);
}

/* The stage as a layout of its own. */
static int complete_stage(struct oci_dest *d, struct error *err)
{
	static const struct buffer none = BUFFER_INIT;
	int r = write_file(d->stage, LAYOUT_FILE, LAYOUT_TEXT, strlen(LAYOUT_TEXT), err);

	if (!r)
		r = write_files(d, d->stage, err);
	return r ? r : write_index(d, d->stage, &none, err);
}

static int commit_new(struct oci_dest *d, struct error *err)
{
	int r = complete_stage(d, err);

	if (r)
		return r;
	if (fchmod(d->stage_fd, 0755) < 0 || rename(d->stage, d->path) < 0)
		return cannot(err, errno, "write", d->path);
	free(steal_ptr(&d->stage));
	return 0;
}

static int move_blobs(struct oci_dest *d, struct error *err)
{
	char path[BLOB_PATH_MAX];

	if ((mkdirat(d->dir_fd, "blobs", 0755) < 0 && errno != EEXIST) ||
	    (mkdirat(d->dir_fd, BLOBS, 0755) < 0 && errno != EEXIST))
		return cannot(err, errno, "write to", d->path);
	for (size_t i = 0; i < d->n_blobs; i++) {
		blob_path(&d->blobs[i].digest, path);
		if (faccessat(d->dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		if (renameat(d->stage_fd, path, d->dir_fd, path) < 0)
			return cannot(err, errno, "write to", d->path);
		d->blobs[i].moved = true;
	}
	return 0;
}

static int commit_added(struct oci_dest *d, struct error *err)
{
	_cleanup_buffer_ struct buffer old = BUFFER_INIT;
	char path[BLOB_PATH_MAX];
	int r = fs_read_file(d->dir_fd, INDEX_FILE, IMAGE_MAX_MANIFEST, &old, err);

	if (r == -ENOENT) {
		error_clear(err);
		r = 0;
	}
	if (!r)
		r = move_blobs(d, err);
	if (!r)
		r = write_files(d, d->path, err);
	if (!r)
		r = write_index(d, d->path, &old, err);
	for (size_t i = 0; r && i < d->n_blobs; i++) {
		blob_path(&d->blobs[i].digest, path);
		if (d->blobs[i].moved)
			unlinkat(d->dir_fd, path, 0);
	}
	return r;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int commit_archive(struct oci_dest *d, struct error *err)
{
	_cleanup_fs_temp_ struct fs_temp temp = FS_TEMP_INIT;
	_cleanup_strv_ struct strv paths = STRV_INIT;
	char path[BLOB_PATH_MAX];
	int r = complete_stage(d, err);

	if (!r && (strv_add(&paths, LAYOUT_FILE) || strv_add(&paths, INDEX_FILE)))
		r = no_memory(err);
	for (size_t i = 0; !r && i < d->n_blobs; i++) {
		blob_path(&d->blobs[i].digest, path);
		if (strv_add(&paths, path))
			r = no_memory(err);
	}
	if (r)
		return r;
	qsort(paths.v + 2, paths.n - 2, sizeof(*paths.v), compare_text);
	r = fs_temp_open(&temp, d->path, 0644, err);
	if (!r)
		r = archive_write(d->stage_fd, (const char *const *)paths.v, paths.n, temp.fd, err);
	if (!r)
		r = fs_temp_commit(&temp, err);
	if (r && err)
		err->kind = ERROR_ENVIRONMENT;
	return r;
}

static int push_one(struct oci_dest *d, const struct dest_blob *b, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct http_source bytes = {.size = b->size};
	char path[BLOB_PATH_MAX];
	int r;

	blob_path(&b->digest, path);
	fd = openat(d->stage_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return cannot(err, errno, "read", path);
	bytes.fd = fd;
	r = push_blob(d->remote.registry, d->remote.http, &b->digest, &bytes, err);
	return r < 0 ? r : 0;
}

static int commit_registry(struct oci_dest *d, struct error *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < d->n_blobs; i++)
		r = push_one(d, &d->blobs[i], err);
	for (size_t i = 0; !r && i < d->n_manifests; i++) {
		const struct dest_manifest *m = &d->manifests[i];

		r = push_manifest(d->remote.registry, d->remote.http, m->tag, m->desc.media_type,
		                  m->json.data, m->json.size, NULL, err);
		r = r < 0 ? r : 0;
	}
	return r ? error_prefix(err, r, "%.200s", d->path) : 0;
}

int oci_dest_commit(struct oci_dest *d, struct error *err)
{
	if (d->cancel && atomic_load(d->cancel))
		return error_set(err, ECANCELED, "interrupted");
	if (d->kind == DEST_REGISTRY)
		return commit_registry(d, err);
	if (d->kind == DEST_ARCHIVE)
		return commit_archive(d, err);
	return d->adding ? commit_added(d, err) : commit_new(d, err);
}
