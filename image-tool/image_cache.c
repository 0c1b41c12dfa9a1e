/* SPDX-License-Identifier: Apache-2.0 */
/* image_cache: see the header. */
#include "image-tool/image_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "image-tool/tool.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/image/hash.h"

#define FRESH "new-" /* after a dot: folders that are being filled */
#define PIECE (256u * 1024)

static int environment(struct error *err, int errnum, const char *doing, const char *what)
{
	error_errno(err, errnum, "%s %s", doing, what);
	if (err)
		err->kind = ERROR_ENVIRONMENT;
	return -errnum;
}

/* XDG Base Directory Specification: a relative path is to be ignored. */
static char *cache_path(void)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (cache && *cache == '/')
		return str_printf("%s/kihon/images", cache);
	return home && *home == '/' ? str_printf("%s/.cache/kihon/images", home) : NULL;
}

static void remove_if_left(int dirfd, const char *name)
{
	_cleanup_close_ int fd =
	    openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		fs_remove_tree(dirfd, name, NULL);
}

/* With the lock held, so that nobody is between making a folder and locking it. */
static void remove_leftovers(const struct image_cache *c)
{
	_cleanup_closedir_ DIR *d = opendir(c->path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (str_starts(e->d_name, "." FRESH))
			remove_if_left(c->fd, e->d_name);
}

int image_cache_open(struct image_cache *c, struct error *err)
{
	int r;

	*c = (struct image_cache)IMAGE_CACHE_INIT;
	c->path = cache_path();
	if (!c->path)
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
		                      "there is no place for fetched images: set XDG_CACHE_HOME, "
		                      "or HOME, to a folder");
	r = fs_mkdir_p(c->path, 0755, err);
	if (r < 0) {
		if (err)
			err->kind = ERROR_ENVIRONMENT;
		return error_hint(err, r, "set XDG_CACHE_HOME to a folder that can be written");
	}
	c->fd = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return c->fd < 0 ? environment(err, errno, "cannot open", c->path) : 0;
}

void image_cache_close(struct image_cache *c)
{
	close_fd(&c->fd);
	free(steal_ptr(&c->path));
}

/* ---- checking */

static int hash_file(int fd, const char *name, struct hash *hash, uint64_t *size, struct error *err)
{
	_cleanup_free_ uint8_t *piece = malloc(PIECE);

	if (!piece)
		return error_set(err, ENOMEM, "no memory to read %s", name);
	for (;;) {
		ssize_t n = read(fd, piece, PIECE);
		int r = n > 0 ? hash_update(hash, piece, (size_t)n, err) : 0;

		if (tool_interrupted())
			return error_set(err, EINTR, "interrupted");
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return environment(err, errno, "cannot read", name);
		if (r < 0 || n == 0)
			return r;
		*size += (uint64_t)n;
	}
}

static int check_file(int dirfd, const struct artifact_file *f, struct error *err)
{
	_cleanup_close_ int fd =
	    openat(dirfd, f->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	_cleanup_hash_ struct hash *hash = NULL;
	struct digest got;
	uint64_t size = 0;
	int r = fd < 0 ? environment(err, errno, "cannot read", f->name)
	               : hash_new(digest_algorithm(&f->digest), &hash, err);

	if (r == 0)
		r = hash_file(fd, f->name, hash, &size, err);
	if (r == 0)
		r = hash_final(hash, &got, err);
	if (r < 0 || (size == f->size && digest_equal(&got, &f->digest)))
		return r;
	return hash_mismatch(&f->digest, &got, f->name, err);
}

int image_cache_check(const char *dir, const struct artifact *a, struct error *err)
{
	_cleanup_close_ int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = dirfd < 0 ? environment(err, errno, "cannot open", dir) : 0;

	for (size_t i = 0; r == 0 && i < a->n_files; i++)
		r = check_file(dirfd, &a->files[i], err);
	return r;
}

/* The manifest by its digest, and the files by the manifest. */
static int check_entry(const char *path, const struct digest *manifest, struct error *err)
{
	_cleanup_free_ char *file = str_printf("%s/" IMAGE_CACHE_MANIFEST, path);
	_cleanup_buffer_ struct buffer json = BUFFER_INIT;
	_cleanup_artifact_ struct artifact a = {0};
	int r = file ? fs_read_file(AT_FDCWD, file, IMAGE_MAX_MANIFEST, &json, err)
	             : error_set(err, ENOMEM, "no memory for a file name");

	if (r == 0)
		r = hash_check(manifest, json.data, json.size, "the manifest", err);
	if (r == 0)
		r = artifact_parse(json.data, json.size, &a, err);
	return r < 0 ? r : image_cache_check(path, &a, err);
}

static char *entry_path(const struct image_cache *c, const struct digest *manifest)
{
	char name[DIGEST_FILE_MAX];

	digest_file_name(manifest, name);
	return str_printf("%s/%s", c->path, name);
}

int image_cache_find(const struct image_cache *c, const struct digest *manifest, char **path,
                     struct error *err)
{
	_cleanup_free_ char *entry = entry_path(c, manifest);

	if (!entry)
		return error_set(err, ENOMEM, "no memory for a file name");
	if (check_entry(entry, manifest, NULL) < 0)
		return tool_interrupted() ? error_set(err, EINTR, "interrupted") : 1;
	*path = steal_ptr(&entry);
	return 0;
}

/* ---- filling */

static int lock(const struct image_cache *c, struct error *err)
{
	while (flock(c->fd, LOCK_EX) < 0)
		if (errno != EINTR || tool_interrupted())
			return environment(err, errno, "cannot lock", c->path);
	return 0;
}

int image_cache_begin(const struct image_cache *c, char **path, int *fd, struct error *err)
{
	_cleanup_free_ char *fresh = str_printf("%s/." FRESH "XXXXXX", c->path);
	int r = fresh ? lock(c, err) : error_set(err, ENOMEM, "no memory for a file name");

	if (r < 0)
		return r;
	remove_leftovers(c);
	*fd = -1;
	if (mkdtemp(fresh))
		*fd = open(fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0 || flock(*fd, LOCK_EX | LOCK_NB) < 0 || fchmod(*fd, 0755) < 0) {
		r = environment(err, errno, "cannot write to", c->path);
		close_fd(fd);
	}
	flock(c->fd, LOCK_UN);
	if (r == 0)
		*path = steal_ptr(&fresh);
	return r;
}

/* A sound entry that another run has made meanwhile stays; a spoilt one changes places with the
 * new one and goes. */
static int put(const char *path, const char *entry, const struct digest *manifest,
               struct error *err)
{
	if (rename(path, entry) == 0)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR)
		return environment(err, errno, "cannot write", entry);
	if (check_entry(entry, manifest, NULL) == 0) {
		fs_remove_tree(AT_FDCWD, path, NULL);
		return 0;
	}
	/* By number: musl 1.2.3 has no function for it. */
	if (syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, entry, RENAME_EXCHANGE) < 0)
		return environment(err, errno, "cannot write", entry);
	return fs_remove_tree(AT_FDCWD, path, err);
}

int image_cache_commit(const struct image_cache *c, const char *path, const struct digest *manifest,
                       char **entry, struct error *err)
{
	_cleanup_free_ char *to = entry_path(c, manifest);
	int r = to ? lock(c, err) : error_set(err, ENOMEM, "no memory for a file name");

	if (r < 0)
		return r;
	r = put(path, to, manifest, err);
	flock(c->fd, LOCK_UN);
	if (r == 0)
		*entry = steal_ptr(&to);
	return r;
}
