/* SPDX-License-Identifier: Apache-2.0 */
/* tree_copy: a walk with its own stack of open directories. */
#include "guest/agent/container/tree_copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

struct level {
	DIR *from;
	int to;
};

static int copy_bytes(int from, const char *name, int to, const struct stat *st)
{
	_cleanup_close_ int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	_cleanup_close_ int out = -1;
	ssize_t n;

	if (in < 0)
		return -errno;
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return -errno;
	do
		n = sendfile(out, in, NULL, 1 << 20);
	while (n > 0);
	if (n < 0 || fchown(out, st->st_uid, st->st_gid) < 0 ||
	    fchmod(out, st->st_mode & 07777) < 0)
		return -errno;
	return 0;
}

static int copy_link(int from, const char *name, int to, const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = 0;
	if (symlinkat(target, to, name) < 0 ||
	    fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int copy_node(int from, const char *name, int to, const struct stat *st)
{
	(void)from;
	if (mknodat(to, name, st->st_mode, st->st_rdev) < 0 ||
	    fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(to, name, st->st_mode & 07777, 0) < 0)
		return -errno;
	return 0;
}

static int descend(struct level *l, int from, const char *name, int to, const struct stat *st)
{
	_cleanup_close_ int fd =
	    openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (mkdirat(to, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	l->to = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (l->to < 0)
		return -errno;
	l->from = fdopendir(fd);
	if (l->from)
		steal_fd(&fd);
	if (!l->from || fchown(l->to, st->st_uid, st->st_gid) < 0 ||
	    fchmod(l->to, st->st_mode & 07777) < 0)
		return -errno;
	return 0;
}

static int copy_entry(int from, const char *name, int to, const struct stat *st)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		return copy_bytes(from, name, to, st);
	case S_IFLNK:
		return copy_link(from, name, to, st);
	default:
		return copy_node(from, name, to, st);
	}
}

static void leave(struct level *l)
{
	if (l->from)
		closedir(l->from);
	close_fd(&l->to);
	l->from = NULL;
}

int tree_copy(int from, int to, struct error *err)
{
	struct level levels[TREE_COPY_DEPTH];
	int depth = 0, r = 0, fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	levels[0] = (struct level){fd < 0 ? NULL : fdopendir(fd), dup(to)};
	while (levels[0].from && depth >= 0 && r == 0) {
		struct level *l = &levels[depth];
		struct dirent *d = readdir(l->from);
		struct stat st;

		if (!d) {
			leave(l);
			depth--;
			continue;
		}
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(l->from), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			r = -errno;
		} else if (!S_ISDIR(st.st_mode)) {
			r = copy_entry(dirfd(l->from), d->d_name, l->to, &st);
		} else if (depth + 1 == TREE_COPY_DEPTH) {
			r = -ELOOP;
		} else {
			depth++;
			levels[depth] = (struct level){NULL, -1};
			r = descend(&levels[depth], dirfd(l->from), d->d_name, l->to, &st);
		}
		if (r < 0)
			r = error_errno(err, -r, "copying \"%s\" into a tmpfs", d->d_name);
	}
	if (!levels[0].from && depth == 0)
		r = error_errno(err, errno, "reading a directory to copy");
	while (depth >= 0)
		leave(&levels[depth--]);
	return r;
}
