/* SPDX-License-Identifier: Apache-2.0 */
/* source: opening and copying host files. */
#include "lib/erofs/source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/erofs/format.h"
#include "lib/erofs/writer.h"

/* From this size on, holes of the source are looked for (a system call each). */
#define SPARSE_MIN (1u << 20)

void copier_init(struct copier *c, struct sink *sink)
{
	*c = (struct copier){.sink = sink, .root_fd = -1, .dir_fd = -1};
}

void copier_done(struct copier *c)
{
	close_fd(&c->root_fd);
	close_fd(&c->dir_fd);
}

/* Names from below `root` down to s, joined; NULL when they do not fit. */
static const char *relative_path(const struct source *s, const struct source *root, char *buf,
                                 size_t size)
{
	size_t at = size - 1;

	buf[at] = '\0';
	for (; s != root; s = s->dir) {
		size_t n = strlen(s->name);

		if (n + 1 > at)
			return NULL;
		at -= n;
		memcpy(buf + at, s->name, n);
		if (s->dir != root)
			buf[--at] = '/';
	}
	return buf + at;
}

const char *source_path(const struct source *s, char *buf, size_t size)
{
	char tmp[EROFS_PATH_MAX + 1];
	const char *p = relative_path(s, NULL, tmp, sizeof(tmp));

	if (!p)
		p = s->name;
	return erofs_quote(buf, size, p, strlen(p));
}

static int open_failed(const struct source *s, int errnum, struct error *err)
{
	char q[EROFS_QUOTE_MAX];

	return error_errno(err, errnum, "cannot read %s", source_path(s, q, sizeof(q)));
}

static int changed(const struct source *s, struct error *err)
{
	char q[EROFS_QUOTE_MAX];

	return error_set_kind(err, ERROR_ENVIRONMENT, ESTALE,
	                      "%s changed while the image was being written; try again when it is "
	                      "at rest",
	                      source_path(s, q, sizeof(q)));
}

int copier_enter(struct copier *c, const struct source *dir, struct error *err)
{
	const struct source *root = dir;
	char buf[EROFS_PATH_MAX + 1];
	const char *path;

	if (c->dir == dir)
		return c->dir_fd;
	close_fd(&c->dir_fd);
	c->dir = NULL;
	while (root->dir)
		root = root->dir;
	if (c->root != root) {
		close_fd(&c->root_fd);
		c->root = NULL;
		c->root_fd = open(root->name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (c->root_fd < 0)
			return open_failed(root, errno, err);
		c->root = root;
	}
	path = relative_path(dir, root, buf, sizeof(buf));
	if (!path)
		return open_failed(dir, ENAMETOOLONG, err);
	c->dir_fd = fs_openat2(c->root_fd, *path ? path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
	                       RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (c->dir_fd < 0)
		return open_failed(dir, errno, err);
	c->dir = dir;
	return c->dir_fd;
}

/* Non-blocking, so that a fifo in the file's place cannot hold us up. */
static int open_source(struct copier *c, const struct source *s, struct error *err)
{
	int flags = O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC | (s->dir ? O_NOFOLLOW : 0);
	int fd, r;

	r = s->dir ? copier_enter(c, s->dir, err) : 0;
	if (r < 0)
		return r;
	fd = openat(s->dir ? c->dir_fd : AT_FDCWD, s->name, flags);
	return fd < 0 ? open_failed(s, errno, err) : fd;
}

static ssize_t read_some(int fd, void *buf, size_t size)
{
	ssize_t n;

	do
		n = read(fd, buf, size);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Asks for one byte more than there should be: a file that grew is seen without a
 * further system call. */
static int copy_small(struct copier *c, int fd, const struct erofs_node *node, uint64_t at,
                      struct error *err)
{
	size_t size = (size_t)node->size, have = 0;
	uint8_t *p;
	int r = sink_reserve(c->sink, at, size + 1, &p, err);

	if (r < 0)
		return r;
	while (have <= size) {
		ssize_t n = read_some(fd, p + have, size + 1 - have);

		if (n < 0)
			return open_failed(node->source, errno, err);
		if (n == 0)
			break;
		have += (size_t)n;
		/* Regular files are short only at their end. */
		if (have == size)
			break;
	}
	if (have != size)
		return changed(node->source, err);
	sink_commit(c->sink, size);
	return 0;
}

static int copy_run(struct copier *c, int fd, const struct erofs_node *node, uint64_t at,
                    uint64_t from, uint64_t to, struct error *err)
{
	while (from < to) {
		size_t n = to - from < c->sink->room ? (size_t)(to - from) : c->sink->room;
		uint8_t *p;
		int r = sink_reserve(c->sink, at + from, n, &p, err);
		ssize_t got;

		if (r < 0)
			return r;
		got = pread(fd, p, n, (off_t)from);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return open_failed(node->source, errno, err);
		if (got == 0)
			return changed(node->source, err);
		sink_commit(c->sink, (size_t)got);
		from += (uint64_t)got;
	}
	return 0;
}

static int check_size(int fd, const struct erofs_node *node, struct stat *st, struct error *err)
{
	if (fstat(fd, st) < 0)
		return open_failed(node->source, errno, err);
	if (!S_ISREG(st->st_mode) || (uint64_t)st->st_size != node->size)
		return changed(node->source, err);
	return 0;
}

static int copy_large(struct copier *c, int fd, const struct erofs_node *node, uint64_t at,
                      struct error *err)
{
	struct stat st;
	uint64_t from = 0;
	bool sparse;
	int r = check_size(fd, node, &st, err);

	if (r < 0)
		return r;
	sparse = node->size >= SPARSE_MIN && (uint64_t)st.st_blocks * 512 < node->size;
	while (from < node->size) {
		off_t data = (off_t)from, hole = (off_t)node->size;

		if (sparse) {
			data = lseek(fd, (off_t)from, SEEK_DATA);
			if (data < 0 && errno == ENXIO)
				break;
			hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
			if (hole < 0)
				return open_failed(node->source, errno, err);
			if ((uint64_t)hole > node->size)
				hole = (off_t)node->size;
		}
		r = copy_run(c, fd, node, at, (uint64_t)data, (uint64_t)hole, err);
		if (r < 0)
			return r;
		from = (uint64_t)hole;
	}
	return 0;
}

int copier_copy(struct copier *c, const struct erofs_node *node, uint64_t at, struct error *err)
{
	_cleanup_close_ int fd = open_source(c, node->source, err);

	if (fd < 0)
		return fd;
	if (node->size < c->sink->room)
		return copy_small(c, fd, node, at, err);
	return copy_large(c, fd, node, at, err);
}

int copier_open(struct copier *c, const struct erofs_node *node, struct error *err)
{
	_cleanup_close_ int fd = open_source(c, node->source, err);
	struct stat st;
	int r = fd < 0 ? fd : check_size(fd, node, &st, err);

	return r < 0 ? r : steal_fd(&fd);
}

int copier_read(const struct erofs_node *node, int fd, uint8_t *buf, size_t size, uint64_t offset,
                struct error *err)
{
	int r = fs_pread_all(fd, buf, size, offset);

	if (r == -ENODATA)
		return changed(node->source, err);
	return r < 0 ? open_failed(node->source, -r, err) : 0;
}
