/* SPDX-License-Identifier: Apache-2.0 */
/* oci_dest_commit: all that was made gets its place: in a new layout, in one that was there, in an
 * archive, in a registry. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/fs.h"
#include "lib/image/oci_dest_archive.h"
#include "lib/image/oci_dest_private.h"
#include "lib/image/push.h"

#define LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"
#define INDEX_FILE  "index.json"

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

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
	int r = write_file(d->stage, DEST_LAYOUT_FILE, LAYOUT_TEXT, strlen(LAYOUT_TEXT), err);

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
		return dest_cannot(err, errno, "write", d->path);
	free(steal_ptr(&d->stage));
	return 0;
}

/* A blob that is there stays; one of another size is none, but what broke off. */
static bool has_blob(const struct oci_dest *d, const char *path, uint64_t size, bool *taken)
{
	struct stat st;

	*taken = fstatat(d->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
	return *taken && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
}

static int move_blobs(struct oci_dest *d, struct error *err)
{
	char path[DEST_PATH_MAX];

	if ((mkdirat(d->dir_fd, "blobs", 0755) < 0 && errno != EEXIST) ||
	    (mkdirat(d->dir_fd, DEST_BLOBS, 0755) < 0 && errno != EEXIST))
		return dest_cannot(err, errno, "write to", d->path);
	for (size_t i = 0; i < d->n_blobs; i++) {
		bool taken;

		dest_blob_path(&d->blobs[i].digest, path);
		if (has_blob(d, path, d->blobs[i].size, &taken))
			continue;
		if (renameat(d->stage_fd, path, d->dir_fd, path) < 0)
			return dest_cannot(err, errno, "write to", d->path);
		d->blobs[i].moved = !taken;
	}
	return 0;
}

/* Takes back what index.json does not lead to. */
static void take_back(const struct oci_dest *d)
{
	char path[DEST_PATH_MAX];

	for (size_t i = 0; i < d->n_blobs; i++) {
		dest_blob_path(&d->blobs[i].digest, path);
		if (d->blobs[i].moved)
			unlinkat(d->dir_fd, path, 0);
	}
	if (!d->fresh)
		return;
	for (size_t i = 0; i < d->n_files; i++) {
		_cleanup_free_ char *top =
		    strndup(d->files[i].path, strcspn(d->files[i].path, "/"));

		if (top)
			fs_remove_tree(d->dir_fd, top, NULL);
	}
	unlinkat(d->dir_fd, DEST_BLOBS, AT_REMOVEDIR);
	unlinkat(d->dir_fd, "blobs", AT_REMOVEDIR);
	unlinkat(d->dir_fd, DEST_LAYOUT_FILE, 0);
}

static int commit_added(struct oci_dest *d, struct error *err)
{
	_cleanup_buffer_ struct buffer old = BUFFER_INIT;
	int r = fs_read_file(d->dir_fd, INDEX_FILE, IMAGE_MAX_MANIFEST, &old, err);

	if (r == -ENOENT) {
		error_clear(err);
		r = 0;
	}
	if (!r && d->fresh)
		r = write_file(d->path, DEST_LAYOUT_FILE, LAYOUT_TEXT, strlen(LAYOUT_TEXT), err);
	if (!r)
		r = move_blobs(d, err);
	if (!r)
		r = write_files(d, d->path, err);
	if (!r)
		r = write_index(d, d->path, &old, err);
	if (r)
		take_back(d);
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
	char path[DEST_PATH_MAX];
	int r = complete_stage(d, err);

	if (!r && (strv_add(&paths, DEST_LAYOUT_FILE) || strv_add(&paths, INDEX_FILE)))
		r = no_memory(err);
	for (size_t i = 0; !r && i < d->n_blobs; i++) {
		dest_blob_path(&d->blobs[i].digest, path);
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
	char path[DEST_PATH_MAX];
	int r;

	dest_blob_path(&b->digest, path);
	fd = openat(d->stage_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return dest_cannot(err, errno, "read", path);
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
