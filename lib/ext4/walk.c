/* SPDX-License-Identifier: Apache-2.0 */
/* walk: every path of an ext4 image, and whether what its inodes use is theirs alone. */
#include "lib/ext4/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/bytes.h"
#include "lib/ext4/image.h"

#define PATH_MAX_BYTES (64u << 10)
#define NLINK_MAX      65000u /* a directory with more subdirectories may say 1 (dir_nlink) */

struct child {
	char *name; /* owned */
	ext2_ino_t ino;
	uint8_t type;
};

/* A directory on the present path. */
struct frame {
	ext2_ino_t ino;
	struct child *children; /* owned */
	size_t n, room, next;
	size_t path_size; /* of the path up to it */
};

struct walk {
	struct ext4_image *image;
	ext4_walk_fn fn;
	void *data;
	struct error *err;
	struct frame *frames; /* owned */
	size_t depth, room;
	struct buffer path;
	ext2fs_block_bitmap claimed; /* blocks of metadata and of the inodes seen so far */
	uint16_t *names;             /* owned; of each inode, how many were seen */
	uint64_t used_inodes;
};

static void free_frame(struct frame *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->children[i].name);
	free(f->children);
}

static void walk_done(struct walk *w)
{
	for (size_t i = 0; i < w->depth; i++)
		free_frame(&w->frames[i]);
	free(w->frames);
	free(w->names);
	buffer_free(&w->path);
	if (w->claimed)
		ext2fs_free_block_bitmap(w->claimed);
}

static int no_memory(struct walk *w)
{
	return error_set(w->err, ENOMEM, "no memory to look at the ext4 file system");
}

/* ---------------------------------------------------------------- blocks */

static int claim_one(struct walk *w, blk64_t block, const char *whose, unsigned long long number)
{
	ext2_filsys fs = w->image->fs;

	if (block < fs->super->s_first_data_block || block >= ext2fs_blocks_count(fs->super))
		return ext4_damaged(w->err, "%s %llu uses block %llu, which does not exist", whose,
		                    number, (unsigned long long)block);
	if (!ext2fs_test_block_bitmap2(fs->block_map, block))
		return ext4_damaged(w->err, "%s %llu uses block %llu, which is marked free", whose,
		                    number, (unsigned long long)block);
	if (ext2fs_mark_block_bitmap2(w->claimed, block))
		return ext4_damaged(w->err,
		                    "%s %llu uses block %llu, which something else uses, too",
		                    whose, number, (unsigned long long)block);
	return 0;
}

/* Superblocks, descriptors, bitmaps and inode tables. Several groups' bitmaps may be in one. */
static int claim_metadata(struct walk *w)
{
	ext2_filsys fs = w->image->fs;
	int r = 0;

	for (dgrp_t g = 0; r == 0 && g < fs->group_desc_count; g++) {
		blk64_t table = ext2fs_inode_table_loc(fs, g);

		ext2fs_reserve_super_and_bgd(fs, g, w->claimed);
		r = claim_one(w, ext2fs_block_bitmap_loc(fs, g), "group", g);
		if (r == 0)
			r = claim_one(w, ext2fs_inode_bitmap_loc(fs, g), "group", g);
		for (blk64_t i = 0; r == 0 && i < fs->inode_blocks_per_group; i++)
			r = claim_one(w, table + i, "group", g);
	}
	return r;
}

struct blocks {
	struct walk *w;
	ext2_ino_t ino;
	bool claim;
	uint64_t first; /* physical block of the content's first; 0: none */
	uint64_t next;  /* logical block that would go on in one piece */
	bool contiguous;
	int r;
};

static int see_block(ext2_filsys fs, blk64_t *block, e2_blkcnt_t number, blk64_t ref_block,
                     int ref_offset, void *data)
{
	struct blocks *b = data;

	b->r = b->claim ? claim_one(b->w, *block, "inode", b->ino) : 0;
	if (b->r < 0)
		return BLOCK_ABORT;
	if (number < 0)
		return 0;
	if (number == 0)
		b->first = *block;
	b->contiguous &= (uint64_t)number == b->next && *block == b->first + b->next;
	b->next++;
	return 0;
}

/* Says where the content of an inode is; `claim`: all its blocks become its own. */
static int see_blocks(struct walk *w, ext2_ino_t ino, struct ext2_inode *inode, bool claim,
                      struct blocks *out)
{
	errcode_t code;

	*out = (struct blocks){.w = w, .ino = ino, .claim = claim, .contiguous = true};
	if (!ext2fs_inode_has_valid_blocks2(w->image->fs, inode))
		return 0;
	code = ext2fs_block_iterate3(w->image->fs, ino, BLOCK_FLAG_READ_ONLY, NULL, see_block, out);
	if (out->r < 0)
		return out->r;
	return code ? ext4_failed(code, w->err, "blocks of inode %u", ino) : 0;
}

/* ---------------------------------------------------------------- inodes */

static int64_t mtime_of(const struct ext2_inode_large *inode)
{
	int64_t t = (int32_t)inode->i_mtime;

	/* Two bits of the epoch are in the extra word (ext4 on-disk layout, "Inode Timestamps"). */
	if (inode->i_extra_isize >= 12)
		t += (int64_t)(inode->i_mtime_extra & 3u) << 32;
	return t;
}

static void device_of(const struct ext2_inode *inode, struct ext4_entry *e)
{
	uint32_t old = inode->i_block[0], new = inode->i_block[1];

	if (!S_ISCHR(inode->i_mode) && !S_ISBLK(inode->i_mode))
		return;
	e->rdev_major = old ? old >> 8 & 0xff : (new & 0xfff00) >> 8;
	e->rdev_minor = old ? old & 0xff : (new & 0xff) | (new >> 12 & 0xfff00);
}

static int read_inode(struct walk *w, ext2_ino_t ino, struct ext2_inode_large *out)
{
	errcode_t code;

	if (ino < EXT2_ROOT_INO || ino > w->image->fs->super->s_inodes_count)
		return ext4_damaged(w->err, "a name leads to inode %u, which does not exist", ino);
	memset(out, 0, sizeof(*out));
	code = ext2fs_read_inode_full(w->image->fs, ino, (struct ext2_inode *)out, sizeof(*out));
	if (code)
		return ext4_failed(code, w->err, "inode %u", ino);
	if (!ext2fs_test_inode_bitmap2(w->image->fs->inode_map, ino) || out->i_links_count == 0)
		return ext4_damaged(w->err, "a name leads to inode %u, which is marked free", ino);
	return 0;
}

/* Notes the name; 1 when the inode was seen under another one. */
static int note_name(struct walk *w, ext2_ino_t ino, const struct ext2_inode_large *inode)
{
	if (w->names[ino] == UINT16_MAX || (S_ISDIR(inode->i_mode) && w->names[ino] > 0))
		return ext4_damaged(w->err, "inode %u has more names than it may have", ino);
	if (w->names[ino]++ > 0)
		return 1;
	w->used_inodes++;
	return 0;
}

/* The type that a name says of an inode; 0: unknown. */
static uint8_t dirent_type(uint16_t mode)
{
	static const uint8_t types[16] = {
	    [S_IFREG >> 12] = EXT2_FT_REG_FILE, [S_IFDIR >> 12] = EXT2_FT_DIR,
	    [S_IFCHR >> 12] = EXT2_FT_CHRDEV,   [S_IFBLK >> 12] = EXT2_FT_BLKDEV,
	    [S_IFIFO >> 12] = EXT2_FT_FIFO,     [S_IFSOCK >> 12] = EXT2_FT_SOCK,
	    [S_IFLNK >> 12] = EXT2_FT_SYMLINK,
	};

	return types[mode >> 12];
}

/* Hands out one path. *dir: go into it. */
static int visit(struct walk *w, ext2_ino_t ino, uint8_t type, bool *dir)
{
	struct ext2_inode_large inode;
	struct blocks blocks;
	struct ext4_entry e = {.path = buffer_cstr(&w->path), .ino = ino, .offset = EXT4_NOWHERE};
	uint64_t bytes, block_size = w->image->fs->blocksize;
	int r = read_inode(w, ino, &inode);

	if (r == 0 && type != EXT2_FT_UNKNOWN && type != dirent_type(inode.i_mode))
		r = ext4_damaged(w->err, "inode %u is of another type than its name says", ino);
	if (r == 0)
		r = note_name(w, ino, &inode);
	if (r < 0)
		return r;
	*dir = S_ISDIR(inode.i_mode);
	/* Claimed under its first name: the others find each of its blocks once, too. */
	r = see_blocks(w, ino, (struct ext2_inode *)&inode, r == 0, &blocks);
	if (r < 0)
		return r;
	e.mode = inode.i_mode;
	e.uid = inode_uid(inode);
	e.gid = inode_gid(inode);
	e.nlink = inode.i_links_count;
	e.size = EXT2_I_SIZE(&inode);
	e.mtime = mtime_of(&inode);
	device_of((struct ext2_inode *)&inode, &e);
	if (blocks.first)
		e.offset = w->image->offset + blocks.first * block_size;
	bytes = blocks.next * block_size;
	e.contiguous = blocks.first && blocks.contiguous && bytes >= e.size;
	return w->fn ? w->fn(&e, w->data, w->err) : 0;
}

/* ---------------------------------------------------------------- directories */

struct listing {
	struct walk *w;
	struct frame *f;
	ext2_ino_t parent;
	unsigned int dots; /* bit 0 ".", bit 1 ".." */
	int r;
};

static int add_child(struct listing *l, const char *name, size_t len, ext2_ino_t ino, uint8_t type)
{
	struct frame *f = l->f;

	if (f->n == f->room) {
		size_t room = f->room ? 2 * f->room : 16;
		struct child *more = reallocarray(f->children, room, sizeof(*more));

		if (!more)
			return no_memory(l->w);
		f->children = more;
		f->room = room;
	}
	f->children[f->n] = (struct child){strndup(name, len), ino, type};
	return f->children[f->n].name ? (f->n++, 0) : no_memory(l->w);
}

static int see_name(ext2_ino_t dir, int entry, struct ext2_dir_entry *d, int offset, int blocksize,
                    char *buf, void *data)
{
	struct listing *l = data;
	size_t len = (size_t)ext2fs_dirent_name_len(d);

	if (len == 0 || memchr(d->name, '/', len) || memchr(d->name, 0, len)) {
		l->r = ext4_damaged(l->w->err, "directory inode %u has a name that is none", dir);
	} else if (d->name[0] == '.' && len <= 2 && d->name[len - 1] == '.') {
		l->dots |= (unsigned int)len;
		if (d->inode != (len == 1 ? dir : l->parent))
			l->r = ext4_damaged(l->w->err,
			                    "\".\" or \"..\" of directory inode %u leads elsewhere",
			                    dir);
	} else {
		l->r = add_child(l, d->name, len, d->inode, (uint8_t)ext2fs_dirent_file_type(d));
	}
	return l->r < 0 ? DIRENT_ABORT : 0;
}

static int by_name(const void *a, const void *b)
{
	const struct child *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int check_names(struct walk *w, const struct frame *f)
{
	struct ext2_inode_large inode;
	uint64_t subdirs = 0;
	int r = read_inode(w, f->ino, &inode);

	for (size_t i = 0; r == 0 && i < f->n; i++) {
		struct ext2_inode_large child;

		if (i > 0 && strcmp(f->children[i - 1].name, f->children[i].name) == 0)
			return ext4_damaged(w->err, "directory inode %u has a name twice", f->ino);
		r = read_inode(w, f->children[i].ino, &child);
		subdirs += S_ISDIR(child.i_mode);
	}
	if (r == 0 && inode.i_links_count != subdirs + 2 &&
	    !(inode.i_links_count == 1 && subdirs + 2 > NLINK_MAX))
		return ext4_damaged(w->err, "directory inode %u has %u links and %llu folders",
		                    f->ino, inode.i_links_count, (unsigned long long)subdirs);
	return r;
}

/* Enters a directory: its names become a frame. */
static int push(struct walk *w, ext2_ino_t ino)
{
	struct listing l = {.w = w, .parent = w->depth ? w->frames[w->depth - 1].ino : ino};
	errcode_t code;

	if (w->depth == w->room) {
		size_t room = w->room ? 2 * w->room : 16;
		struct frame *more = reallocarray(w->frames, room, sizeof(*more));

		if (!more)
			return no_memory(w);
		w->frames = more;
		w->room = room;
	}
	l.f = &w->frames[w->depth++];
	*l.f = (struct frame){.ino = ino, .path_size = w->path.size};
	code = ext2fs_dir_iterate2(w->image->fs, ino, 0, NULL, see_name, &l);
	if (l.r < 0)
		return l.r;
	if (code)
		return ext4_failed(code, w->err, "directory inode %u", ino);
	if (l.dots != 3)
		return ext4_damaged(w->err, "directory inode %u lacks \".\" or \"..\"", ino);
	if (l.f->n > 0)
		qsort(l.f->children, l.f->n, sizeof(*l.f->children), by_name);
	return check_names(w, l.f);
}

static void cut_path(struct walk *w, size_t size)
{
	w->path.size = size;
	if (w->path.data)
		w->path.data[size] = 0;
}

static int step(struct walk *w)
{
	struct frame *f = &w->frames[w->depth - 1];
	const struct child *c;
	bool dir = false;
	int r;

	if (f->next == f->n) {
		free_frame(f);
		w->depth--;
		return 0;
	}
	c = &f->children[f->next++];
	cut_path(w, f->path_size);
	buffer_str(&w->path, f->path_size ? "/" : "");
	buffer_str(&w->path, c->name);
	if (w->path.failed)
		return ext4_damaged(w->err, "its directories are too deep");
	r = visit(w, c->ino, c->type, &dir);
	return r ?: dir ? push(w, c->ino) : 0;
}

static int walk_start(struct walk *w)
{
	ext2_filsys fs = w->image->fs;
	errcode_t code = ext2fs_allocate_block_bitmap(fs, "claimed", &w->claimed);
	bool dir = false;
	int r;

	if (ext2fs_has_feature_bigalloc(fs->super))
		return error_set_kind(w->err, ERROR_INPUT, EOPNOTSUPP,
		                      "the ext4 file system keeps account of clusters instead of "
		                      "blocks (bigalloc), which is not known here");

	w->path.limit = PATH_MAX_BYTES;
	w->names = calloc((size_t)fs->super->s_inodes_count + 1, sizeof(*w->names));
	if (code || !w->names)
		return no_memory(w);
	r = claim_metadata(w);
	if (r == 0)
		r = visit(w, EXT2_ROOT_INO, EXT2_FT_DIR, &dir);
	return r ?: push(w, EXT2_ROOT_INO);
}

static int walk_all(struct walk *w)
{
	int r = walk_start(w);

	while (r == 0 && w->depth > 0)
		r = step(w);
	return r;
}

int ext4_walk(struct ext4_image *image, ext4_walk_fn fn, void *data, struct error *err)
{
	struct walk w = {.image = image, .fn = fn, .data = data, .err = err};
	int r = walk_all(&w);

	walk_done(&w);
	return r;
}

/* ---------------------------------------------------------------- all together */

/* What has no name but is used: the journal, the inode that keeps room for descriptors. */
static int claim_reserved(struct walk *w)
{
	uint32_t first = EXT2_FIRST_INODE(w->image->fs->super);
	uint32_t count = w->image->fs->super->s_inodes_count;
	int r = 0;

	if (first > count)
		return ext4_damaged(w->err, "its first inode for files is %u, it has %u", first,
		                    count);
	for (ext2_ino_t ino = 1; r == 0 && ino < first; ino++) {
		struct ext2_inode inode;
		struct blocks blocks;
		errcode_t code;

		if (w->names[ino] > 0)
			continue;
		w->used_inodes++;
		code = ext2fs_read_inode(w->image->fs, ino, &inode);
		if (code)
			return ext4_failed(code, w->err, "inode %u", ino);
		/* The reserved descriptor blocks were claimed with the groups' own. */
		if (inode.i_links_count > 0 && ino != EXT2_RESIZE_INO)
			r = see_blocks(w, ino, &inode, true, &blocks);
	}
	return r;
}

static int check_links(struct walk *w)
{
	for (ext2_ino_t ino = 1; ino <= w->image->fs->super->s_inodes_count; ino++) {
		struct ext2_inode inode;

		if (w->names[ino] == 0)
			continue;
		if (ext2fs_read_inode(w->image->fs, ino, &inode) == 0 && !S_ISDIR(inode.i_mode) &&
		    inode.i_links_count != w->names[ino])
			return ext4_damaged(w->err, "inode %u has %u names and %u links", ino,
			                    w->names[ino], inode.i_links_count);
	}
	return 0;
}

static int check_counts(struct walk *w)
{
	ext2_filsys fs = w->image->fs;
	uint64_t free_blocks = 0;

	for (blk64_t b = fs->super->s_first_data_block; b < ext2fs_blocks_count(fs->super); b++)
		free_blocks += !ext2fs_test_block_bitmap2(fs->block_map, b);
	if (free_blocks != ext2fs_free_blocks_count(fs->super))
		return ext4_damaged(w->err, "%llu blocks are free, its superblock says %llu",
		                    (unsigned long long)free_blocks,
		                    (unsigned long long)ext2fs_free_blocks_count(fs->super));
	/* These have inodes without a name, which nothing here leads to. */
	if (ext2fs_has_feature_ea_inode(fs->super) || ext2fs_has_feature_project(fs->super))
		return 0;
	if (w->used_inodes != fs->super->s_inodes_count - fs->super->s_free_inodes_count)
		return ext4_damaged(w->err, "%llu inodes are used, its superblock says %u",
		                    (unsigned long long)w->used_inodes,
		                    fs->super->s_inodes_count - fs->super->s_free_inodes_count);
	return 0;
}

static int ignore_xattr(const char *name, const void *value, size_t size, void *data,
                        struct error *err)
{
	return 0;
}

static int check_xattrs(const struct ext4_entry *e, void *data, struct error *err)
{
	return ext4_xattrs(data, e->ino, ignore_xattr, NULL, err);
}

int ext4_check(struct ext4_image *image, struct error *err)
{
	struct walk w = {.image = image, .fn = check_xattrs, .data = image, .err = err};
	int r = walk_all(&w);

	if (r == 0)
		r = claim_reserved(&w);
	if (r == 0)
		r = check_links(&w);
	if (r == 0)
		r = check_counts(&w);
	walk_done(&w);
	return r;
}
