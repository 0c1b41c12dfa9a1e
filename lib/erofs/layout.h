/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout: decides where everything of a tree goes in the image, before anything but
 * streamed content is written.
 *
 *	block 0        superblock
 *	meta_block ... inodes in 32-byte slots (slot 1 is the root: number 0 is taken for
 *	               "deleted" by readdir), then the shared xattrs
 *	elsewhere      file content, directories, symlink targets
 *
 * erofs_write_tree() has the metadata at block 1 and fills the gaps before and between
 * 2 MiB-aligned files with everything small; streaming and compression have it behind
 * the content that is there already.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/erofs/format.h"
#include "lib/erofs/node.h"
#include "lib/erofs/writer.h"

struct packed;

struct gap {
	uint64_t block;
	uint64_t n;
};

struct layout {
	struct erofs_tree *tree;
	const struct erofs_write_opts *opts;
	const struct packed *packed; /* NULL: nothing was compressed */
	uint64_t end;                /* first block that nothing has */
	struct gap *gaps;            /* owned; in order, before `end` */
	size_t n_gaps, gaps_room, first_gap;

	uint64_t meta_block;
	uint64_t meta_at; /* next free byte behind meta_block */
	uint64_t inodes;
	uint64_t meta_bytes;     /* superblock, inodes, xattrs, directories, links */
	bool chunked;            /* some file is */
	uint64_t data_bytes;     /* of regular files, each counted once */
	struct interned *shared; /* xattrs that several nodes have, linked by `next` */
	struct interned **shared_tail;
	uint64_t shared_at; /* byte of the image where they begin */
	uint64_t shared_size;
};

/* `end` is the first free block: 1, or behind streamed and compressed content. Sets slot, block,
 * size, nlink (of directories) and flags of all nodes. */
int layout_make(struct layout *l, struct erofs_tree *tree, const struct erofs_write_opts *opts,
                const struct packed *packed, uint64_t end, struct error *err);
void layout_free(struct layout *l);

/* The directory after `dir` (the root first) when each comes before those in it. */
struct erofs_node *layout_next_dir(struct erofs_node *dir);

static inline uint64_t layout_blocks(uint64_t bytes)
{
	return bytes / EROFS_BLOCK_SIZE + (bytes % EROFS_BLOCK_SIZE != 0);
}

/* Entries of a chunked file's map, which follows its inode. */
static inline uint64_t layout_chunks(const struct erofs_node *n)
{
	return n->size / EROFS_CHUNK_SIZE + (n->size % EROFS_CHUNK_SIZE != 0);
}

/* How much of a node's data is beside its inode, and how many blocks hold the rest. */
static inline uint32_t layout_tail(const struct erofs_node *n)
{
	return n->flags & NODE_INLINE ? (uint32_t)(n->size % EROFS_BLOCK_SIZE) : 0;
}

static inline uint64_t layout_data_blocks(const struct erofs_node *n)
{
	return n->flags & NODE_INLINE ? n->size / EROFS_BLOCK_SIZE : layout_blocks(n->size);
}

/* Bytes of the node's xattr area, and how many of its xattrs are shared. A shared item's
 * `place` is its distance from shared_at in 4-byte units, plus one. */
size_t layout_xattr_size(const struct erofs_node *n, unsigned int *n_shared);
/* Whether item i of the node is referred to by id, given how many before it are. */
static inline bool layout_is_shared(const struct interned *item, unsigned int shared_before)
{
	return item->refs > 1 && shared_before < XATTR_SHARED_MAX;
}

/* An xattr's size on disk: header, name, value, padding. */
static inline size_t layout_xattr_entry_size(const struct xattr_key *k)
{
	return (XATTR_ENTRY_SIZE + (size_t)k->name_len + k->value_size + 3) & ~(size_t)3;
}

/* Directory data: entries in order, "." and ".." where their names belong. */
struct dir_iter {
	const struct erofs_node *dir;
	struct erofs_entry *next;
	unsigned int dots; /* how many of "." and ".." are behind us */
};
void dir_iter_init(struct dir_iter *it, struct erofs_node *dir);
/* The next block's bytes into `block` (4096 zeroed bytes, or NULL to skip it); how many
 * are used, 0 at the end. */
uint32_t dir_iter_block(struct dir_iter *it, uint8_t *block);
