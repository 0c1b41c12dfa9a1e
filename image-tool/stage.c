/* SPDX-License-Identifier: Apache-2.0 */
/* stage: files of an image, made aside and moved into place together. */
#include "image-tool/stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "image-tool/lock.h"
#include "image-tool/tool.h"
#include "lib/base/fs.h"
#include "lib/image/hash.h"

static int environment_errno(struct error *err, int errnum, const char *doing, const char *what)
{
	error_errno(err, errnum, "%s %s", doing, what);
	if (err)
		err->kind = ERROR_ENVIRONMENT;
	return -errnum;
}

static int remove_leftovers(struct stage *s, struct error *err)
{
	_cleanup_closedir_ DIR *d = opendir(s->dir);
	struct dirent *e;

	if (!d)
		return environment_errno(err, errno, "cannot read the folder", s->dir);
	while ((e = readdir(d))) {
		int r = 0;

		if (str_starts(e->d_name, STAGE_PREFIX))
			r = fs_remove_tree(s->lock_fd, e->d_name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* 1: another build that failed took the folder away meanwhile. */
static int lock_dir(struct stage *s, const char *dir, struct error *err)
{
	struct stat st, locked;
	bool made = stat(dir, &st) < 0 && errno == ENOENT;
	int r = fs_mkdir_p(dir, 0755, err);

	if (r < 0) {
		if (err)
			err->kind = ERROR_ENVIRONMENT;
		return r;
	}
	s->lock_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->lock_fd < 0)
		return errno == ENOENT ? 1 : environment_errno(err, errno, "cannot write to", dir);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return error_set_kind(err, ERROR_ENVIRONMENT, errno,
		                      "another build is writing to %s; wait for it or choose "
		                      "another folder",
		                      dir);
	if (fstat(s->lock_fd, &locked) < 0 || stat(dir, &st) < 0 || st.st_ino != locked.st_ino ||
	    st.st_dev != locked.st_dev)
		return 1;
	/* Only who has the lock may take it away again. */
	s->made_dir = made;
	return 0;
}

static int make_dir(struct stage *s, const char *dir, struct error *err)
{
	int tries = 0, r;

	s->dir = strdup(dir);
	s->path = str_printf("%s/" STAGE_PREFIX "XXXXXX", dir);
	if (!s->dir || !s->path)
		return error_set(err, ENOMEM, "no memory to write %s", dir);
	do {
		close_fd(&s->lock_fd);
		r = lock_dir(s, dir, err);
	} while (r == 1 && ++tries < 100);
	return r == 1 ? environment_errno(err, EBUSY, "cannot write to", dir) : r;
}

int stage_open(struct stage *s, const char *dir, struct error *err)
{
	int r;

	*s = (struct stage)STAGE_INIT;
	r = make_dir(s, dir, err);
	if (r == 0)
		r = remove_leftovers(s, err);
	if (r == 0 && !mkdtemp(s->path)) {
		r = environment_errno(err, errno, "cannot write to", dir);
		free(steal_ptr(&s->path));
	}
	if (r < 0) {
		if (s->lock_fd < 0 || (s->path && str_ends(s->path, "XXXXXX")))
			free(steal_ptr(&s->path));
		stage_close(s);
	}
	return r;
}

int stage_create(struct stage *s, const char *name, int *fd, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/%s", s->path, name);
	_cleanup_close_ int out = -1;

	if (!path)
		return error_set(err, ENOMEM, "no memory to write %s", name);
	out = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0 || fchmod(out, 0644) < 0)
		return environment_errno(err, errno, "cannot write", path);
	*fd = steal_fd(&out);
	return 0;
}

static int measure_fd(int fd, const char *name, char sha256[65], uint64_t *size, struct error *err)
{
	_cleanup_hash_ struct hash *hash = NULL;
	struct digest digest;
	int r = fd < 0 ? error_errno(err, errno, "cannot read %s", name)
	               : hash_new(DIGEST_SHA256, &hash, err);

	*size = 0;
	while (r == 0) {
		uint8_t buf[65536];
		ssize_t n = read(fd, buf, sizeof(buf));

		if (tool_interrupted())
			return error_set(err, EINTR, "interrupted");
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = error_errno(err, errno, "cannot read %s", name);
		if (n == 0)
			break;
		if (n > 0)
			r = hash_update(hash, buf, (size_t)n, err);
		*size += (uint64_t)n;
	}
	if (r == 0)
		r = hash_final(hash, &digest, err);
	if (r == 0)
		snprintf(sha256, 65, "%.64s", digest.text + strlen("sha256:"));
	return r;
}

int measure_file(int dirfd, const char *name, char sha256[65], uint64_t *size, struct error *err)
{
	_cleanup_close_ int fd =
	    openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	/* Nobody writes to a pipe of that name: reading it would never end. */
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is no regular file", name);
	return measure_fd(fd, name, sha256, size, err);
}

int measure_path(const char *path, char sha256[65], uint64_t *size, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r = measure_fd(fd, path, sha256, size, err);

	if (r < 0 && fd < 0 && err)
		err->kind = ERROR_ENVIRONMENT;
	return r;
}

int stage_measure(struct stage *s, const char *name, struct arena *arena, struct guestimg_file *out,
                  struct error *err)
{
	_cleanup_close_ int dir = open(s->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char sha256[65];
	int r = dir < 0 ? error_errno(err, errno, "cannot read %s", s->path)
	                : measure_file(dir, name, sha256, &out->size, err);

	if (r < 0)
		return r;
	out->name = arena_strdup(arena, name);
	out->sha256 = arena_strdup(arena, sha256);
	return arena->failed ? error_set(err, ENOMEM, "no memory for %s", name) : 0;
}

/* fsync before rename: after a crash there is the old file or the new one, never an empty one. */
static int publish_file(struct stage *s, int from, const char *name, struct error *err)
{
	_cleanup_close_ int fd = openat(from, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0 || renameat(from, name, s->lock_fd, name) < 0)
		return environment_errno(err, errno, "cannot write", name);
	return 0;
}

/* What an image's folder has beside its files; the first is taken away first and comes last. */
static const char *const beside[] = {GUESTIMG_FILE, GUESTIMG_SIGNATURE, LOCK_FILE};

#define N_BESIDE (sizeof(beside) / sizeof(*beside))

int stage_publish(struct stage *s, const struct guestimg *img, struct error *err)
{
	_cleanup_close_ int from = open(s->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (from < 0)
		return environment_errno(err, errno, "cannot read", s->path);
	r = guestimg_save(img, s->path, err);
	if (r < 0)
		return r;
	if (tool_interrupted())
		return error_set(err, EINTR, "interrupted");
	/* Neither does a signature outlive what it was made over, nor a lock its image. */
	for (size_t i = 0; i < N_BESIDE; i++)
		if (unlinkat(s->lock_fd, beside[i], 0) < 0 && errno != ENOENT)
			return environment_errno(err, errno, "cannot replace", beside[i]);
	for (size_t i = 0; r == 0 && i < img->n_files; i++)
		r = publish_file(s, from, img->files[i].name, err);
	for (size_t i = 1; r == 0 && i < N_BESIDE; i++)
		if (faccessat(from, beside[i], F_OK, 0) == 0)
			r = publish_file(s, from, beside[i], err);
	return r < 0 ? r : publish_file(s, from, GUESTIMG_FILE, err);
}

int stage_publish_files(struct stage *s, const char *sub, const char *const *names, size_t n,
                        struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/%s", s->path, sub);
	_cleanup_close_ int from = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	int r = 0;

	if (from < 0)
		return environment_errno(err, path ? errno : ENOMEM, "cannot read", sub);
	if (tool_interrupted())
		return error_set(err, EINTR, "interrupted");
	if (unlinkat(s->lock_fd, names[n - 1], 0) < 0 && errno != ENOENT)
		return environment_errno(err, errno, "cannot replace", names[n - 1]);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = publish_file(s, from, names[i], err);
	return r;
}

void stage_close(struct stage *s)
{
	if (s->path)
		fs_remove_tree(AT_FDCWD, s->path, NULL);
	/* Fails, as it should, unless it is empty. */
	if (s->made_dir && s->dir)
		rmdir(s->dir);
	close_fd(&s->lock_fd);
	free(s->path);
	free(s->dir);
	*s = (struct stage)STAGE_INIT;
}
