/* SPDX-License-Identifier: Apache-2.0 */
/* mirror: keeps a small directory like another one. */
#include "guest/agent/storage/mirror.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"

#define TARGET_ENTRIES_MAX 256 /* what may have gathered in the copy */
#define DEPTH_PATH_MAX     1024
#define TEMPORARY          ".kihon-mirror" /* in the copy's root, renamed from there */

struct entry {
	char path[DEPTH_PATH_MAX]; /* relative; "" is the root */
	struct stat st;
};

/* A directory's tree, a directory before what is in it. */
struct listing {
	int root;
	struct entry *v;
	size_t n, max;
	uint64_t bytes; /* of regular files */
};

static void listing_free(struct listing *l)
{
	close_fd(&l->root);
	free(l->v);
}

#define _cleanup_listing_ __attribute__((cleanup(listing_free)))

/* 1: too many, or a path that is too long to be small. */
static int list_one(struct listing *l, const char *dir, const char *name)
{
	struct entry *e = &l->v[l->n];
	int n;

	if (l->n == l->max)
		return 1;
	n = snprintf(e->path, sizeof(e->path), "%s%s%s", dir, *dir ? "/" : "", name);
	if (n < 0 || (size_t)n >= sizeof(e->path))
		return 1;
	if (fstatat(l->root, e->path, &e->st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if (S_ISREG(e->st.st_mode))
		l->bytes += (uint64_t)e->st.st_size;
	l->n++;
	return 0;
}

static int list_dir(struct listing *l, const char *path)
{
	int fd = fs_openat2(l->root, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
	                    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	struct dirent *d;
	DIR *dir;
	int r = 0;

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? -EAGAIN : -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (r == 0 && (d = readdir(dir)))
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			r = list_one(l, path, d->d_name);
	closedir(dir);
	return r;
}

/* 0, 1: too large, or a negative errno. l->v is to be freed in any case. */
static int list(struct listing *l, const char *root, size_t max)
{
	int r;

	*l = (struct listing){.root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC), .max = max + 1};
	if (l->root < 0)
		return -errno;
	l->v = calloc(l->max, sizeof(*l->v));
	if (!l->v)
		return -ENOMEM;
	if (fstat(l->root, &l->v[0].st) < 0)
		return -errno;
	l->n = 1;
	r = list_dir(l, "");
	for (size_t i = 1; r == 0 && i < l->n; i++) {
		char path[DEPTH_PATH_MAX];

		if (!S_ISDIR(l->v[i].st.st_mode))
			continue;
		strcpy(path, l->v[i].path);
		r = list_dir(l, path);
	}
	return r;
}

static const struct entry *find(const struct listing *l, const char *path)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i].path, path) == 0)
			return &l->v[i];
	return NULL;
}

static bool same_type(const struct entry *a, const struct entry *b)
{
	return (a->st.st_mode & S_IFMT) == (b->st.st_mode & S_IFMT);
}

/* ---- removing */

/* Names that the original does not have (types_only: that are something else there), the deepest
 * first. */
static int remove_others(struct listing *to, const struct listing *from, bool types_only)
{
	for (size_t i = to->n; i-- > 1;) {
		const struct entry *e = &to->v[i], *there = find(from, e->path);
		int flags = S_ISDIR(e->st.st_mode) ? AT_REMOVEDIR : 0;

		if (types_only ? !there || same_type(there, e) : there != NULL)
			continue;
		/* A directory that became a file takes what is in it along. */
		if (types_only && flags) {
			int r = fs_remove_tree(to->root, e->path, NULL);

			if (r < 0)
				return r;
		} else if (unlinkat(to->root, e->path, flags) < 0 && errno != ENOENT &&
		           errno != ENOTDIR) {
			return -errno;
		}
	}
	return 0;
}

/* ---- copying */

static int set_owner(int fd, const char *path, const struct stat *st)
{
	if (fchownat(fd, path, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(st->st_mode) && fchmodat(fd, path, st->st_mode & 07777, 0) < 0)
		return -errno;
	return 0;
}

static bool same_stat(const struct entry *a, const struct entry *b)
{
	const struct stat *s = &a->st, *t = &b->st;

	return s->st_size == t->st_size && s->st_mtim.tv_sec == t->st_mtim.tv_sec &&
	       s->st_mtim.tv_nsec == t->st_mtim.tv_nsec && s->st_mode == t->st_mode &&
	       s->st_uid == t->st_uid && s->st_gid == t->st_gid;
}

static int put_dir(const struct listing *from, const struct listing *to, const struct entry *e)
{
	const struct entry *there = find(to, e->path);

	if (!*e->path)
		return set_owner(to->root, ".", &e->st);
	if (!(there && same_type(e, there)) && mkdirat(to->root, e->path, 0700) < 0 &&
	    errno != EEXIST)
		return -errno;
	return set_owner(to->root, e->path, &e->st);
}

/* All of it, and no more than was seen. */
static int copy_content(int in, int out, const struct stat *st)
{
	char chunk[16384];
	off_t left = st->st_size;

	while (left > 0) {
		size_t want = left < (off_t)sizeof(chunk) ? (size_t)left : sizeof(chunk);
		ssize_t n = read(in, chunk, want);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EAGAIN;
		r = fs_write_all(out, chunk, (size_t)n);
		if (r < 0)
			return r;
		left -= n;
	}
	return 0;
}

static int put_file(const struct listing *from, const struct listing *to, const struct entry *e)
{
	const struct entry *there = find(to, e->path);
	const struct timespec times[2] = {e->st.st_mtim, e->st.st_mtim};
	_cleanup_close_ int in = -1, out = -1;
	int r;

	if (there && same_type(e, there) && same_stat(e, there))
		return 0;
	in = fs_openat2(from->root, e->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0,
	                RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (in < 0)
		return errno == ENOENT || errno == ELOOP ? -EAGAIN : -errno;
	out =
	    openat(to->root, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out < 0)
		return -errno;
	r = copy_content(in, out, &e->st);
	if (r == 0 && (fchown(out, e->st.st_uid, e->st.st_gid) < 0 ||
	               fchmod(out, e->st.st_mode & 07777) < 0 || futimens(out, times) < 0))
		r = -errno;
	if (r == 0 && renameat(to->root, TEMPORARY, to->root, e->path) < 0)
		r = -errno;
	return r;
}

static int put_link(const struct listing *from, const struct listing *to, const struct entry *e)
{
	char want[PATH_MAX], have[PATH_MAX];
	ssize_t n = readlinkat(from->root, e->path, want, sizeof(want) - 1), m;
	int r;

	if (n < 0)
		return errno == ENOENT || errno == EINVAL ? -EAGAIN : -errno;
	want[n] = '\0';
	m = readlinkat(to->root, e->path, have, sizeof(have));
	if (m == n && memcmp(want, have, (size_t)n) == 0)
		return 0;
	if (symlinkat(want, to->root, TEMPORARY) < 0)
		return -errno;
	r = set_owner(to->root, TEMPORARY, &e->st);
	if (r == 0 && renameat(to->root, TEMPORARY, to->root, e->path) < 0)
		r = -errno;
	return r;
}

/* In this order; what is something else (sockets, devices) is left out, as Kata's agent does. */
static const struct {
	mode_t type;
	int (*put)(const struct listing *from, const struct listing *to, const struct entry *e);
} passes[] = {{S_IFDIR, put_dir}, {S_IFREG, put_file}, {S_IFLNK, put_link}};

static int copy_all(const struct listing *from, const struct listing *to)
{
	int r = 0;

	for (size_t p = 0; p < sizeof(passes) / sizeof(passes[0]); p++)
		for (size_t i = 0; r == 0 && i < from->n; i++)
			if ((from->v[i].st.st_mode & S_IFMT) == passes[p].type)
				r = passes[p].put(from, to, &from->v[i]);
	return r;
}

int mirror_sync(const char *from, const char *to, struct error *err)
{
	_cleanup_listing_ struct listing a = {.root = -1}, b = {.root = -1};
	int r = list(&a, from, MIRROR_ENTRIES_MAX);

	if (r == 1 || (r == 0 && a.bytes > MIRROR_BYTES_MAX))
		return 1;
	if (r == 0) {
		/* What a copy that was cut off left behind. */
		int fd = open(to, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0)
			unlinkat(fd, TEMPORARY, 0);
		close_fd(&fd);
		r = list(&b, to, TARGET_ENTRIES_MAX);
		r = r == 1 ? -E2BIG : r;
	}
	r = r ? r : remove_others(&b, &a, true);
	r = r ? r : copy_all(&a, &b);
	r = r ? r : remove_others(&b, &a, false);
	return r < 0 ? error_errno(err, -r, "keeping %s like %s", to, from) : 0;
}
