/* SPDX-License-Identifier: Apache-2.0 */
/* store: see the header. */
#include "lib/image/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"

#define TEMP_PREFIX ".part-"
#define NAME_ROOM   256

struct store {
	char *dir; /* of the layers, absolute */
	int fd;
};

/* Temporary files that nobody holds a lock on. */
static int remove_stale(struct store *s, struct error *err)
{
	_cleanup_close_ int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir)
		return error_errno(err, errno, "cannot list %s", s->dir);
	steal_fd(&fd);
	while ((e = readdir(dir))) {
		_cleanup_close_ int file = -1;

		if (!str_starts(e->d_name, TEMP_PREFIX))
			continue;
		file = openat(s->fd, e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (file >= 0 && !flock(file, LOCK_EX | LOCK_NB))
			unlinkat(s->fd, e->d_name, 0);
	}
	return 0;
}

int store_open(const char *dir, struct store **out, struct error *err)
{
	_cleanup_free_ char *layers = str_printf("%s/layers", dir);
	_cleanup_store_ struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!layers || !s)
		return error_set(err, ENOMEM, "out of memory");
	s->fd = -1;
	r = fs_mkdir_p(layers, 0755, err);
	if (r)
		return r;
	s->dir = realpath(layers, NULL);
	s->fd = open(layers, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!s->dir || s->fd < 0)
		return error_errno(err, errno, "cannot open the layer store %s", layers);
	r = remove_stale(s, err);
	if (r)
		return r;
	*out = steal_ptr(&s);
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	free(s->dir);
	free(s);
}

/* "sha256-aa.erofs", or "sha256-aa.on-bb.erofs" for the one chain bb. */
static void layer_name(const struct digest *diff_id, const struct digest *below, bool shared,
                       char out[NAME_ROOM])
{
	char file[DIGEST_FILE_MAX];

	digest_file_name(diff_id, file);
	if (shared)
		snprintf(out, NAME_ROOM, "%s.erofs", file);
	else
		snprintf(out, NAME_ROOM, "%s.on-%.64s.erofs", file,
		         below ? strchr(below->text, ':') + 1 : "nothing");
}

static int find_name(struct store *s, const char *name, char **path, uint64_t *size,
                     struct error *err)
{
	struct stat st;

	if (fstatat(s->fd, name, &st, AT_SYMLINK_NOFOLLOW)) {
		if (errno == ENOENT)
			return 1;
		return error_errno(err, errno, "cannot look at %s/%s", s->dir, name);
	}
	if (!S_ISREG(st.st_mode))
		return error_set_kind(err, ERROR_ENVIRONMENT, EEXIST, "%s/%s is not a file", s->dir,
		                      name);
	*size = (uint64_t)st.st_size;
	*path = str_printf("%s/%s", s->dir, name);
	return *path ? 0 : error_set(err, ENOMEM, "out of memory");
}

int store_find(struct store *s, const struct digest *diff_id, const struct digest *below,
               char **path, uint64_t *size, struct error *err)
{
	char name[NAME_ROOM];
	int r;

	layer_name(diff_id, below, true, name);
	r = find_name(s, name, path, size, err);
	if (r != 1)
		return r;
	layer_name(diff_id, below, false, name);
	return find_name(s, name, path, size, err);
}

int store_begin(struct store *s, struct store_temp *t, struct error *err)
{
	for (int tries = 0; tries < 16; tries++) {
		struct stat st;
		uint64_t number;

		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			return error_errno(err, errno, "cannot get random bytes");
		snprintf(t->name, sizeof(t->name), TEMP_PREFIX "%016llx",
		         (unsigned long long)number);
		t->fd = openat(s->fd, t->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (t->fd < 0 && errno == EEXIST)
			continue;
		if (t->fd < 0 || flock(t->fd, LOCK_EX) || fstat(t->fd, &st))
			break;
		t->store = s;
		/* Before the lock was taken, a start of another may have found it stale. */
		if (st.st_nlink)
			return 0;
		close_fd(&t->fd);
	}
	return error_errno(err, errno, "cannot create a file in %s", s->dir);
}

int store_commit(struct store_temp *t, const struct digest *diff_id, const struct digest *below,
                 bool shared, char **path, uint64_t *size, struct error *err)
{
	struct store *s = t->store;
	char name[NAME_ROOM];

	layer_name(diff_id, below, shared, name);
	if (fchmod(t->fd, 0444) || fsync(t->fd) || renameat(s->fd, t->name, s->fd, name))
		return error_errno(err, errno, "cannot finish %s/%s", s->dir, name);
	close_fd(&t->fd);
	return find_name(s, name, path, size, err);
}

void store_abort(struct store_temp *t)
{
	if (t->fd < 0)
		return;
	unlinkat(t->store->fd, t->name, 0);
	close_fd(&t->fd);
}
