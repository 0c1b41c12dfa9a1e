/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write: walks the source twice, to count and to write. Directories are open from their first
 * name to their last, which is a stack, for the walk goes depth first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/erofs/format.h"
#include "lib/erofs/links.h"
#include "lib/erofs/tree.h"
#include "lib/ext4/content.h"
#include "lib/ext4/dir.h"

#define CHUNK            (256u << 10)
#define FAST_SYMLINK_MAX 59u /* with a NUL they fit in the inode */

struct ext4_writer {
	struct erofs_image *image;
	struct error *err;
	struct content content;
	struct volume_need need;
	uint64_t *open_bytes; /* owned; of the names in each directory that is being counted */
	size_t n_open, open_room;
	struct links links; /* of files with several names */
	struct volume volume;
	struct dir *dirs; /* owned; from the root to where the walk is */
	size_t n_dirs, dirs_room;
	uint8_t *buf; /* owned; CHUNK bytes */
};

static uint64_t blocks_of(uint64_t size)
{
	return size / EXT4_BLOCK_SIZE + (size % EXT4_BLOCK_SIZE != 0);
}

static bool has_content(const struct erofs_stat *st)
{
	return S_ISREG(st->mode) || (S_ISLNK(st->mode) && st->size > FAST_SYMLINK_MAX);
}

/* The name in its directory, and how many directories are above it. */
static const char *split(const char *path, size_t *depth)
{
	const char *name = path;

	*depth = 0;
	for (const char *p = path; *p; p++)
		if (*p == '/') {
			name = p + 1;
			++*depth;
		}
	return name;
}

static int no_memory(struct ext4_writer *w)
{
	return error_set(w->err, ENOMEM, "no memory to write an ext4 image");
}

/* ---------------------------------------------------------------- counting */

static int any_xattr(const char *name, const void *value, size_t size, void *data)
{
	return 1;
}

/* The directories that are left have all their names. */
static void close_counted(struct ext4_writer *w, size_t keep)
{
	while (w->n_open > keep)
		w->need.blocks += dir_blocks(w->open_bytes[--w->n_open]);
}

static int open_counted(struct ext4_writer *w)
{
	if (w->n_open == w->open_room) {
		size_t room = w->open_room ? 2 * w->open_room : 16;
		uint64_t *open = reallocarray(w->open_bytes, room, sizeof(*open));

		if (!open)
			return no_memory(w);
		w->open_bytes = open;
		w->open_room = room;
	}
	w->open_bytes[w->n_open++] = DIR_DOTS;
	return 0;
}

static int count_content(struct ext4_writer *w, const struct erofs_stat *st)
{
	struct content_range range = {0};
	uint64_t blocks = 0, runs = 0;
	int r;

	while ((r = content_next(&w->content, st, &range, w->err)) > 0) {
		uint64_t n = blocks_of(range.end - range.start);

		blocks += n;
		runs += 1 + n / 30000;
	}
	/* A run is at most a group, and each block of the extent tree holds some 340; the inode has
	 * room for four, one of which the end of a group may take. */
	w->need.blocks += blocks + (runs > (blocks > 30000 ? 1 : 3) ? runs / 300 + 2 : 0);
	return r;
}

static int count_entry(const char *path, const struct erofs_stat *st, void *data)
{
	struct ext4_writer *w = data;
	char q[EROFS_QUOTE_MAX];
	const char *name;
	size_t depth;
	int r;

	name = split(path, &depth);
	close_counted(w, *path ? depth + 1 : 0);
	if (*path)
		w->open_bytes[depth] += dir_entry_size(strlen(name));
	if (st->nlink > 1 && !S_ISDIR(st->mode)) {
		struct link *link = links_get(&w->links, st->nid);

		if (!link)
			return no_memory(w);
		if (link->ino)
			return 0;
		link->ino = 1;
	}
	if (st->nlink > EXT2_LINK_MAX && !S_ISDIR(st->mode))
		return error_set_kind(w->err, ERROR_INPUT, EMLINK,
		                      "/%s has more than %d hard links, which ext4 cannot hold",
		                      erofs_quote(q, sizeof(q), path, strlen(path)), EXT2_LINK_MAX);
	w->need.inodes++;
	r = erofs_xattrs(w->image, st, any_xattr, NULL, w->err);
	if (r < 0)
		return r;
	w->need.blocks += (unsigned int)r;
	if (S_ISDIR(st->mode))
		return open_counted(w);
	if (!has_content(st))
		return 0;
	return blocks_of(st->size) > UINT32_MAX
	           ? error_set_kind(w->err, ERROR_INPUT, EFBIG, "/%s is too large for ext4",
	                            erofs_quote(q, sizeof(q), path, strlen(path)))
	           : count_content(w, st);
}

static void forget_numbers(struct links *l)
{
	for (size_t i = 0; i < l->room; i++)
		l->table[i].ino = 0;
}

/* ---------------------------------------------------------------- writing */

static int copy_run(struct ext4_writer *w, const struct erofs_stat *st, const struct run *run)
{
	uint64_t at = run->block * EXT4_BLOCK_SIZE, offset = run->at * EXT4_BLOCK_SIZE;
	uint64_t end = offset + (uint64_t)run->blocks * EXT4_BLOCK_SIZE;

	end = end < st->size ? end : st->size;
	while (offset < end) {
		size_t n = end - offset < CHUNK ? (size_t)(end - offset) : CHUNK;
		int r = content_read(&w->content, st, w->buf, n, offset, w->err);

		if (r < 0)
			return r;
		r = fs_pwrite_all(w->volume.fd, w->buf, n, at);
		if (r < 0)
			return error_errno(w->err, -r, "cannot write the ext4 image");
		at += n;
		offset += n;
	}
	return 0;
}

/* What has content gets blocks; what is between stays a hole. */
static int write_content(struct ext4_writer *w, const struct erofs_stat *st, struct runs *runs)
{
	struct content_range range = {0};
	int r;

	while ((r = content_next(&w->content, st, &range, w->err)) > 0) {
		size_t first = runs->n;

		runs->end = range.start / EXT4_BLOCK_SIZE;
		r = volume_allocate(&w->volume, runs, blocks_of(range.end - range.start));
		for (size_t i = first; r == 0 && i < runs->n; i++)
			r = copy_run(w, st, &runs->v[i]);
		if (r < 0)
			return r;
	}
	return r;
}

static int write_symlink(struct ext4_writer *w, ext2_ino_t ino, const struct erofs_stat *st)
{
	char target[FAST_SYMLINK_MAX];
	ssize_t n = erofs_pread(w->image, st, target, (size_t)st->size, 0, w->err);

	if (n < 0)
		return (int)n;
	if ((uint64_t)n != st->size)
		return error_set_kind(w->err, ERROR_INPUT, EUCLEAN,
		                      "the source of an ext4 image ends early");
	return volume_write_inode(&w->volume, ino, st, NULL, 0, target, (size_t)n);
}

static int write_file(struct ext4_writer *w, ext2_ino_t ino, const struct erofs_stat *st)
{
	_cleanup_runs_ struct runs runs = {0};
	int r = 0;

	if (S_ISLNK(st->mode) && st->size <= FAST_SYMLINK_MAX)
		return write_symlink(w, ino, st);
	if (has_content(st))
		r = write_content(w, st, &runs);
	return r < 0 ? r : volume_write_inode(&w->volume, ino, st, &runs, 0, NULL, 0);
}

struct xattr_target {
	struct ext4_writer *w;
	struct ext2_xattr_handle *handle; /* opened with the first */
	ext2_ino_t ino;
};

static int put_xattr(const char *name, const void *value, size_t size, void *data)
{
	struct xattr_target *t = data;
	errcode_t code = 0;

	if (!t->handle)
		code = ext2fs_xattrs_open(t->w->volume.fs, t->ino, &t->handle);
	if (code == 0)
		code = ext2fs_xattr_set(t->handle, name, value, size);
	return code ? volume_failed(&t->w->volume, code, name) : 0;
}

static int write_xattrs(struct ext4_writer *w, ext2_ino_t ino, const struct erofs_stat *st)
{
	struct xattr_target t = {.w = w, .ino = ino};
	int r = erofs_xattrs(w->image, st, put_xattr, &t, w->err);

	if (t.handle)
		ext2fs_xattrs_close(&t.handle);
	return r;
}

/* The inode of a directory is written when all its names are known, its xattrs after that. */
static int close_dirs(struct ext4_writer *w, size_t keep)
{
	int r = 0;

	while (r == 0 && w->n_dirs > keep) {
		struct dir *d = &w->dirs[w->n_dirs - 1];

		r = dir_finish(d, &w->volume);
		if (r == 0)
			r = write_xattrs(w, d->ino, &d->st);
		dir_free(d);
		w->n_dirs--;
	}
	return r;
}

static int open_dir(struct ext4_writer *w, ext2_ino_t ino, ext2_ino_t parent,
                    const struct erofs_stat *st)
{
	if (w->n_dirs == w->dirs_room) {
		size_t room = w->dirs_room ? 2 * w->dirs_room : 16;
		struct dir *dirs = reallocarray(w->dirs, room, sizeof(*dirs));

		if (!dirs)
			return no_memory(w);
		w->dirs = dirs;
		w->dirs_room = room;
	}
	return dir_open(&w->dirs[w->n_dirs++], ino, parent, st);
}

static int write_new(struct ext4_writer *w, ext2_ino_t ino, ext2_ino_t parent,
                     const struct erofs_stat *st)
{
	int r;

	if (S_ISDIR(st->mode))
		return open_dir(w, ino, parent, st);
	r = write_file(w, ino, st);
	return r < 0 ? r : write_xattrs(w, ino, st);
}

static int write_entry(const char *path, const struct erofs_stat *st, void *data)
{
	struct ext4_writer *w = data;
	struct link *link = NULL;
	ext2_ino_t ino, parent;
	char q[EROFS_QUOTE_MAX];
	const char *name;
	size_t depth;
	int r;

	if (!*path)
		return open_dir(w, EXT2_ROOT_INO, EXT2_ROOT_INO, st);
	name = split(path, &depth);
	r = close_dirs(w, depth + 1);
	if (r < 0)
		return r;
	parent = w->dirs[depth].ino;
	if (st->nlink > 1 && !S_ISDIR(st->mode)) {
		link = links_get(&w->links, st->nid);
		if (!link)
			return no_memory(w);
	}
	if (link && link->ino)
		return dir_add(&w->dirs[depth], &w->volume, name, strlen(name), link->ino,
		               st->mode);
	r = volume_new_inode(&w->volume, S_ISDIR(st->mode), &ino);
	if (r == 0)
		r = dir_add(&w->dirs[depth], &w->volume, name, strlen(name), ino, st->mode);
	if (r < 0)
		return r;
	if (link)
		link->ino = ino;
	r = write_new(w, ino, parent, st);
	return r < 0 ? error_prefix(w->err, r, "/%s", erofs_quote(q, sizeof(q), path, strlen(path)))
	             : 0;
}

static int write_all(struct ext4_writer *w, int fd, const struct ext4_write_opts *opts,
                     uint64_t *size)
{
	struct erofs_check_result checked;
	/* Link counts and sizes are relied on below. */
	int r = erofs_check(w->image, &checked, w->err);

	if (r == 0)
		r = erofs_walk(w->image, count_entry, w, w->err);
	if (r < 0)
		return r;
	close_counted(w, 0);
	forget_numbers(&w->links);
	r = volume_create(&w->volume, fd, opts, &w->need, w->err);
	if (r > 0)
		*size = w->volume.needed;
	if (r == 0)
		r = erofs_walk(w->image, write_entry, w, w->err);
	if (r == 0)
		r = close_dirs(w, 0);
	return r != 0 ? r : volume_finish(&w->volume, size);
}

int ext4_write(struct erofs_image *image, int out_fd, const struct ext4_write_opts *opts,
               struct ext4_write_stats *stats, struct error *err)
{
	struct error ignored;
	struct ext4_writer w = {.image = image, .err = err ?: &ignored};
	uint64_t size = 0;
	int r;

	w.buf = malloc(CHUNK);
	w.content = (struct content){image, opts->interrupted, w.buf};
	r = w.buf ? write_all(&w, out_fd, opts, &size) : no_memory(&w);
	for (size_t i = 0; i < w.n_dirs; i++)
		dir_free(&w.dirs[i]);
	free(w.dirs);
	free(w.open_bytes);
	free(w.buf);
	links_free(&w.links);
	volume_free(&w.volume);
	if (r >= 0 && stats)
		*stats = (struct ext4_write_stats){.size = size, .inodes = w.need.inodes};
	return r;
}
