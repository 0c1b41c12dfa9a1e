/* SPDX-License-Identifier: Apache-2.0 */
/*
 * htree: names sorted by hash fill blocks one after the other; before them are the root of the
 * index and, where it is not enough, one level of nodes. (Documentation/filesystems/ext4/
 * directory.rst, "Hash Tree Directories"; struct dx_root and dx_node of fs/ext4/namei.c.)
 */
#include "lib/ext4/htree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A block of index ends with its checksum. */
#define TAIL          sizeof(struct ext2_dx_tail)
#define ROOT_HEAD     (DIR_DOTS + sizeof(struct ext2_dx_root_info))
#define NODE_HEAD     8u /* an entry of no inode, as long as the block */
#define ENTRY         sizeof(struct ext2_dx_entry)
#define ROOT_LIMIT    ((EXT4_BLOCK_SIZE - ROOT_HEAD - TAIL) / ENTRY)
#define NODE_LIMIT    ((EXT4_BLOCK_SIZE - NODE_HEAD - TAIL) / ENTRY)
#define SAME_HASH_BIT 1u /* "goes on from the block before" */

struct hashed {
	uint32_t hash, minor;
	size_t at; /* in dir->names */
};

/* A leaf: its names are [first, first + n) of the sorted ones. */
struct leaf {
	uint32_t hash; /* of the first; SAME_HASH_BIT as said above */
	size_t first, n;
};

struct htree {
	const struct dir *d;
	struct volume *v;
	struct hashed *names; /* owned; d->n of them, sorted */
	struct leaf *leaves;  /* owned */
	size_t n_leaves, leaves_room;
	const struct runs *runs;
	size_t run; /* where the next block is */
	uint32_t run_at;
};

uint64_t htree_index_blocks(uint64_t leaves)
{
	return 1 + (leaves > ROOT_LIMIT ? (leaves + NODE_LIMIT - 1) / NODE_LIMIT : 0);
}

static int no_memory(struct htree *t)
{
	return error_set(t->v->err, ENOMEM, "no memory to write an ext4 image");
}

static int by_hash(const void *a, const void *b)
{
	const struct hashed *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	if (x->minor != y->minor)
		return x->minor < y->minor ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

static int sort_names(struct htree *t)
{
	size_t at = 0;

	t->names = calloc(t->d->n, sizeof(*t->names));
	if (!t->names)
		return no_memory(t);
	for (size_t i = 0; i < t->d->n; i++) {
		const struct dir_name name = dir_name_at(t->d, at);
		struct hashed *h = &t->names[i];
		/* The superblock says that characters are unsigned (EXT2_FLAGS_UNSIGNED_HASH). */
		errcode_t code = ext2fs_dirhash(EXT2_HASH_HALF_MD4_UNSIGNED, name.text, name.len,
		                                t->v->fs->super->s_hash_seed, &h->hash, &h->minor);

		if (code)
			return volume_failed(t->v, code, "cannot hash a name");
		h->at = at;
		at += DIR_NAME_HEAD + name.len;
	}
	qsort(t->names, t->d->n, sizeof(*t->names), by_hash);
	return 0;
}

static struct leaf *new_leaf(struct htree *t, size_t first)
{
	if (t->n_leaves == t->leaves_room) {
		size_t room = t->leaves_room ? 2 * t->leaves_room : 64;
		struct leaf *leaves = reallocarray(t->leaves, room, sizeof(*leaves));

		if (!leaves)
			return NULL;
		t->leaves = leaves;
		t->leaves_room = room;
	}
	t->leaves[t->n_leaves] = (struct leaf){t->names[first].hash, first, 0};
	if (first > 0 && t->names[first - 1].hash == t->names[first].hash)
		t->leaves[t->n_leaves].hash |= SAME_HASH_BIT;
	return &t->leaves[t->n_leaves++];
}

/* Which names go to which leaf. */
static int plan_leaves(struct htree *t)
{
	struct leaf *leaf = NULL;
	size_t used = 0;

	for (size_t i = 0; i < t->d->n; i++) {
		size_t size = dir_entry_size(dir_name_at(t->d, t->names[i].at).len);

		if (!leaf || used + size > DIR_BLOCK_ROOM) {
			leaf = new_leaf(t, i);
			used = 0;
		}
		if (!leaf)
			return no_memory(t);
		leaf->n++;
		used += size;
	}
	return t->n_leaves <= ROOT_LIMIT * NODE_LIMIT
	           ? 0
	           : error_set_kind(t->v->err, ERROR_INPUT, EFBIG,
	                            "a directory has more names than ext4 can hold");
}

/* Blocks are written in their order in the directory. */
static int write_next(struct htree *t, void *bytes)
{
	const struct run *run = &t->runs->v[t->run];
	errcode_t code =
	    ext2fs_write_dir_block4(t->v->fs, run->block + t->run_at, bytes, 0, t->d->ino);

	if (++t->run_at == run->blocks) {
		t->run++;
		t->run_at = 0;
	}
	return code ? volume_failed(t->v, code, "cannot write a directory of an ext4 image") : 0;
}

/* ---------------------------------------------------------------- index */

static void put_entry(uint8_t *p, ext2_ino_t ino, size_t size, const char *name)
{
	put_le32(p, ino);
	put_le16(p + 4, (uint16_t)size);
	p[6] = (uint8_t)strlen(name);
	p[7] = ino ? EXT2_FT_DIR : 0;
	memcpy(p + 8, name, strlen(name));
}

/* Entries of an index: the first has no hash, in its place are limit and count. */
static void put_index(uint8_t *p, size_t limit, const struct leaf *leaves, size_t n, size_t step,
                      size_t first_block)
{
	for (size_t i = 0; i < n; i++) {
		put_le32(p + i * ENTRY, leaves[i * step].hash);
		put_le32(p + i * ENTRY + 4, (uint32_t)(first_block + i));
	}
	put_le16(p, (uint16_t)limit);
	put_le16(p + 2, (uint16_t)n);
}

static int write_root(struct htree *t, size_t nodes)
{
	uint8_t block[EXT4_BLOCK_SIZE] = {0};
	const struct ext2_dx_root_info info = {
	    .hash_version = EXT2_HASH_HALF_MD4,
	    .info_length = sizeof(info),
	    .indirect_levels = nodes > 0,
	};

	put_entry(block, t->d->ino, 12, ".");
	put_entry(block + 12, t->d->parent, EXT4_BLOCK_SIZE - 12, "..");
	memcpy(block + DIR_DOTS, &info, sizeof(info));
	put_index(block + ROOT_HEAD, ROOT_LIMIT, t->leaves, nodes ? nodes : t->n_leaves,
	          nodes ? NODE_LIMIT : 1, 1);
	return write_next(t, block);
}

static int write_node(struct htree *t, size_t node, size_t nodes)
{
	uint8_t block[EXT4_BLOCK_SIZE] = {0};
	size_t first = node * NODE_LIMIT, left = t->n_leaves - first;

	put_entry(block, 0, EXT4_BLOCK_SIZE, "");
	put_index(block + NODE_HEAD, NODE_LIMIT, t->leaves + first,
	          left < NODE_LIMIT ? left : NODE_LIMIT, 1, 1 + nodes + first);
	return write_next(t, block);
}

static int write_leaf(struct htree *t, const struct leaf *leaf)
{
	struct dir_block block;

	dir_block_clear(&block);
	for (size_t i = 0; i < leaf->n; i++) {
		const struct dir_name name = dir_name_at(t->d, t->names[leaf->first + i].at);

		dir_block_add(&block, &name);
	}
	dir_block_close(&block, t->v);
	return write_next(t, block.bytes);
}

static int write_blocks(struct htree *t, struct runs *runs)
{
	size_t index = (size_t)htree_index_blocks(t->n_leaves), nodes = index - 1;
	int r = volume_allocate(t->v, runs, index + t->n_leaves);

	t->runs = runs;
	if (r == 0)
		r = write_root(t, nodes);
	for (size_t i = 0; r == 0 && i < nodes; i++)
		r = write_node(t, i, nodes);
	for (size_t i = 0; r == 0 && i < t->n_leaves; i++)
		r = write_leaf(t, &t->leaves[i]);
	return r;
}

int htree_write(const struct dir *d, struct volume *v, struct runs *runs)
{
	struct htree t = {.d = d, .v = v};
	int r = sort_names(&t);

	if (r == 0)
		r = plan_leaves(&t);
	if (r == 0)
		r = write_blocks(&t, runs);
	free(t.names);
	free(t.leaves);
	return r;
}
