/* SPDX-License-Identifier: Apache-2.0 */
/* check: whether an image is sound, without knowing what it was made from. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/bytes.h"
#include "lib/erofs/image.h"
#include "lib/erofs/intern.h"
#include "lib/erofs/node.h"

/* Blocks first..end-1 hold the content of a file. */
struct run {
	uint64_t first, end;
};

struct check {
	struct erofs_image *image;
	struct erofs_check_result *result;
	struct error *err;
	struct buffer runs;
	/* Inodes that are not directories: refs counts names, place is the link count. */
	struct arena arena;
	struct hash_key key;
	struct intern inodes;
	struct intern shared;  /* ids of shared xattrs that were looked at */
	uint64_t index_left;   /* entries of cluster indexes and chunk maps; more do not fit */
	uint64_t runs_left;    /* bytes: more cannot be in it, however well compressed */
	struct buffer parents; /* of the directories on the present path: struct parent */
};

struct parent {
	uint64_t nid;
	size_t path_len;
};

/* ---------------------------------------------------------------- one directory */

struct dir_check {
	struct check *c;
	const struct erofs_stat *dir;
	uint64_t parent;
	char last[EROFS_NAME_MAX];
	size_t last_len;
	unsigned int dots; /* bit 0 ".", bit 1 ".." */
	uint32_t subdirs;
};

static int check_dirent(const char *name, size_t len, uint64_t nid, uint8_t type, void *data)
{
	struct dir_check *d = data;
	struct error *err = d->c->err;
	unsigned long long dir = d->dir->nid;
	struct erofs_stat st;
	int r;

	if (d->last_len && erofs_name_compare(d->last, d->last_len, name, len) >= 0)
		return image_damaged(err, "directory inode %llu is not sorted", dir);
	memcpy(d->last, name, len);
	d->last_len = len;
	r = erofs_stat_nid(d->c->image, nid, &st, err);
	if (r < 0)
		return r;
	if (type != erofs_file_type(st.mode))
		return image_damaged(err, "directory inode %llu: type %u for mode %o", dir, type,
		                     st.mode);
	if (name[0] == '.' && len <= 2 && name[len - 1] == '.') {
		d->dots |= (unsigned int)len;
		if (nid != (len == 1 ? d->dir->nid : d->parent))
			return image_damaged(err,
			                     "directory inode %llu: \"..\" or \".\" is inode "
			                     "%llu",
			                     dir, (unsigned long long)nid);
	} else {
		d->subdirs += S_ISDIR(st.mode);
	}
	return 0;
}

static int check_directory(struct check *c, const struct erofs_stat *st, uint64_t parent)
{
	struct dir_check d = {.c = c, .dir = st, .parent = parent};
	int r = erofs_readdir(c->image, st, check_dirent, &d, c->err);

	if (r < 0)
		return r;
	if (d.dots != 3)
		return image_damaged(c->err, "directory inode %llu lacks \".\" or \"..\"",
		                     (unsigned long long)st->nid);
	if (st->nlink != d.subdirs + 2)
		return image_damaged(c->err, "directory inode %llu has %u links and %u folders",
		                     (unsigned long long)st->nid, st->nlink, d.subdirs);
	c->result->directories++;
	return 0;
}

/* ---------------------------------------------------------------- one inode */

static int add_run(struct check *c, uint64_t first, uint64_t n)
{
	struct run run = {first, first + n};

	if (n)
		buffer_append(&c->runs, &run, sizeof(run));
	return c->runs.failed ? error_set(c->err, ENOMEM, "out of memory while checking") : 0;
}

static int overlapping(struct check *c, const struct erofs_stat *st)
{
	return image_damaged(c->err, "the clusters of inode %llu are those of others, too",
	                     (unsigned long long)st->nid);
}

/* Every cluster is decompressed. What may be done is bounded by what a sound image needs. */
static int check_clusters(struct check *c, const struct erofs_stat *st)
{
	struct clusters cs;
	struct cluster cl;
	int r = clusters_open(&cs, c->image, st, c->err);

	if (r < 0)
		return r;
	if (cs.n > c->index_left || st->size > c->runs_left)
		return overlapping(c, st);
	c->index_left -= cs.n;
	c->runs_left -= st->size;
	c->result->compressed_files++;
	for (uint64_t at = 0; at < st->size && r == 0; at = cl.start + cl.length) {
		r = clusters_find(&cs, at, &cl, c->err);
		if (r == 0 && cl.start != at)
			r = overlapping(c, st);
		if (r == 0)
			r = add_run(c, cl.block, cl.blocks);
		if (r == 0)
			r = compressed_check(c->image, st, &cl, c->err);
		c->result->compressed_bytes += (uint64_t)cl.blocks * EROFS_BLOCK_SIZE;
	}
	return r;
}

/* Chunks are there to be shared: they need only be within the image. */
static int check_chunks(struct check *c, const struct erofs_stat *st)
{
	uint64_t at, size;
	int r = 0;

	for (uint64_t offset = 0; offset < st->size && r == 0; offset += size) {
		if (!c->index_left--)
			return image_damaged(c->err, "the chunk map of inode %llu is not its own",
			                     (unsigned long long)st->nid);
		r = image_chunk(c->image, st, offset, &at, &size, c->err);
	}
	return r;
}

/* Where the content is. */
static int check_content(struct check *c, const struct erofs_stat *st)
{
	uint64_t blocks, tail_at, end;
	uint32_t tail;
	int r;

	if (S_ISREG(st->mode)) {
		bool huge = st->size >= EROFS_HUGE_SIZE;

		c->result->files++;
		c->result->file_bytes += st->size;
		c->result->dax_files += st->size && st->layout == EROFS_LAYOUT_PLAIN;
		c->result->huge_files += huge;
		c->result->huge_files_aligned +=
		    huge && st->layout == EROFS_LAYOUT_PLAIN &&
		    st->block % (EROFS_HUGE_SIZE / EROFS_BLOCK_SIZE) == 0;
	}
	if (image_is_compressed(st))
		return st->size ? check_clusters(c, st) : 0;
	if (st->layout == EROFS_LAYOUT_CHUNKED)
		return check_chunks(c, st);
	r = image_tail(st, &tail_at, &tail, c->err);
	if (r < 0)
		return r;
	blocks = (st->size - tail) / EROFS_BLOCK_SIZE + ((st->size - tail) % EROFS_BLOCK_SIZE != 0);
	end = (uint64_t)st->block * EROFS_BLOCK_SIZE + (st->size - tail);
	if ((blocks && (!st->block || end > c->image->size)) ||
	    (tail && tail_at + tail > c->image->size))
		return image_damaged(c->err, "the content of inode %llu is beyond its end",
		                     (unsigned long long)st->nid);
	return add_run(c, st->block, blocks);
}

static int ignore_xattr(const char *name, const void *value, size_t size, void *data)
{
	return 0;
}

/* Each is read once, not once an inode: they are few and large, inodes many. */
static bool seen_shared(uint32_t id, void *data)
{
	struct check *c = data;
	struct interned *seen = intern_get(&c->shared, &c->arena, &c->key, &id, sizeof(id));

	return seen && seen->refs++ > 0;
}

/* 1 when this inode was seen under another name. */
static int note_inode(struct check *c, const struct erofs_stat *st)
{
	struct interned *seen =
	    intern_get(&c->inodes, &c->arena, &c->key, &st->nid, sizeof(st->nid));

	if (!seen)
		return error_set(c->err, ENOMEM, "out of memory while checking");
	seen->place = st->nlink;
	return seen->refs++ > 0;
}

/* The directory that `path` is in: the walk is still below it. */
static uint64_t find_parent(struct check *c, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) + 1 : 0;
	struct parent p = {c->image->super.root_nid, 0};

	while (c->parents.size) {
		memcpy(&p, c->parents.data + c->parents.size - sizeof(p), sizeof(p));
		if (p.path_len <= len)
			break;
		c->parents.size -= sizeof(p);
	}
	return p.nid;
}

static int check_inode(const char *path, const struct erofs_stat *st, void *data)
{
	struct check *c = data;
	uint64_t parent = find_parent(c, path);
	int r = 0;

	if (S_ISDIR(st->mode)) {
		struct parent p = {st->nid, *path ? strlen(path) + 1 : 0};

		r = check_directory(c, st, parent);
		buffer_append(&c->parents, &p, sizeof(p));
		if (c->parents.failed)
			return error_set(c->err, ENOMEM, "out of memory while checking");
	} else {
		r = note_inode(c, st);
		if (r > 0)
			return 0;
	}
	if (r == 0)
		r = image_xattrs(c->image, st, seen_shared, ignore_xattr, c, c->err);
	if (r == 0 && (S_ISREG(st->mode) || S_ISDIR(st->mode) || S_ISLNK(st->mode)))
		r = check_content(c, st);
	if (r == 0 && S_ISLNK(st->mode) && (!st->size || st->size > EROFS_SYMLINK_MAX))
		r = image_damaged(c->err, "symbolic link inode %llu has a target of %llu bytes",
		                  (unsigned long long)st->nid, (unsigned long long)st->size);
	c->result->inodes++;
	return r;
}

/* ---------------------------------------------------------------- all together */

static int check_links(struct check *c)
{
	for (size_t i = 0; i < c->inodes.n_buckets; i++)
		for (const struct interned *s = c->inodes.buckets[i]; s; s = s->chain)
			if (s->refs != s->place) {
				uint64_t nid;

				memcpy(&nid, s->bytes, sizeof(nid));
				return image_damaged(c->err, "inode %llu has %u names and %u links",
				                     (unsigned long long)nid, s->refs, s->place);
			}
	return 0;
}

static int compare_runs(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return (x->end > y->end) - (x->end < y->end);
}

/* Equal runs may be shared (deduplication); others must not touch. */
static int check_runs(struct check *c)
{
	struct run *runs = (struct run *)(void *)c->runs.data;
	size_t n = c->runs.size / sizeof(*runs);

	if (n)
		qsort(runs, n, sizeof(*runs), compare_runs);
	for (size_t i = 1; i < n; i++)
		if (runs[i].first < runs[i - 1].end && compare_runs(&runs[i - 1], &runs[i]) != 0)
			return image_damaged(c->err, "two files share block %llu",
			                     (unsigned long long)runs[i].first);
	return 0;
}

static int check_super(struct check *c)
{
	const struct erofs_super *s = &c->image->super;

	if (!s->checksum_ok)
		return image_damaged(c->err, "the superblock's checksum does not match");
	if (s->blocks > c->image->size / EROFS_BLOCK_SIZE)
		return image_damaged(c->err, "it is cut off: %u blocks in %llu bytes", s->blocks,
		                     (unsigned long long)c->image->size);
	return 0;
}

int erofs_check(struct erofs_image *image, struct erofs_check_result *result, struct error *err)
{
	struct erofs_check_result ignored;
	struct check c = {.image = image, .result = result ? result : &ignored, .err = err};
	int r;

	*c.result = (struct erofs_check_result){0};
	c.index_left = image->size / 2;
	c.runs_left = image->size > UINT64_MAX / 255 ? UINT64_MAX : image->size * 255;
	hash_key_init(&c.key);
	r = check_super(&c);
	if (r == 0)
		r = erofs_walk(image, check_inode, &c, err);
	if (r == 0)
		r = check_links(&c);
	if (r == 0)
		r = check_runs(&c);
	if (r == 0 && image->super.inodes != c.result->inodes)
		r = image_damaged(err, "%llu inodes where the superblock says %llu",
		                  (unsigned long long)c.result->inodes,
		                  (unsigned long long)image->super.inodes);
	buffer_free(&c.runs);
	buffer_free(&c.parents);
	intern_free(&c.inodes);
	intern_free(&c.shared);
	arena_free(&c.arena);
	return r;
}
