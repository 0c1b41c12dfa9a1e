/* SPDX-License-Identifier: Apache-2.0 */
/* format: writes a hash tree in one pass over the data, one unfinished block a level. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/verity/hasher.h"

#define READ_BLOCKS 64u

struct level {
	uint8_t block[VERITY_BLOCK_SIZE];
	unsigned int used;
	uint64_t written; /* blocks */
};

struct builder {
	struct verity *v;
	int hash_fd;
	uint64_t tree;
	struct shape shape;
	struct hasher hasher;
	uint8_t data[READ_BLOCKS * VERITY_BLOCK_SIZE];
	struct level levels[VERITY_LEVELS_MAX];
};

/* A level's block is complete: written, its digest is `out` for the level above. */
static int finish_block(struct builder *b, unsigned int level, uint8_t out[VERITY_DIGEST_SIZE],
                        struct error *err)
{
	struct level *l = &b->levels[level];
	uint64_t block = b->shape.start[level] + l->written++;
	int r;

	memset(l->block + l->used * VERITY_DIGEST_SIZE, 0,
	       sizeof(l->block) - l->used * VERITY_DIGEST_SIZE);
	l->used = 0;
	r = fs_pwrite_all(b->hash_fd, l->block, sizeof(l->block),
	                  b->tree + block * VERITY_BLOCK_SIZE);
	if (r < 0)
		return error_errno(err, -r, "cannot write the hash tree");
	return hasher_block(&b->hasher, l->block, out, err);
}

/* Takes the next digest of what is below `level`, and hands full blocks up. */
static int add_digest(struct builder *b, unsigned int level, uint8_t digest[VERITY_DIGEST_SIZE],
                      struct error *err)
{
	for (; level < b->shape.levels; level++) {
		struct level *l = &b->levels[level];
		int r;

		memcpy(l->block + l->used++ * VERITY_DIGEST_SIZE, digest, VERITY_DIGEST_SIZE);
		if (l->used < VERITY_FANOUT)
			return 0;
		r = finish_block(b, level, digest, err);
		if (r < 0)
			return r;
	}
	memcpy(b->v->root, digest, VERITY_DIGEST_SIZE);
	return 0;
}

static int hash_data(struct builder *b, const struct verity_place *place, struct error *err)
{
	uint8_t digest[VERITY_DIGEST_SIZE];
	uint64_t done = 0;

	while (done < b->v->data_blocks) {
		uint64_t left = b->v->data_blocks - done;
		size_t n = left < READ_BLOCKS ? (size_t)left : READ_BLOCKS;
		int r;

		if (place->interrupted && place->interrupted())
			return error_set(err, EINTR, "interrupted");
		r = fs_pread_all(place->data_fd, b->data, n * VERITY_BLOCK_SIZE,
		                 place->data_offset + done * VERITY_BLOCK_SIZE);

		if (r < 0)
			return error_errno(err, -r, "cannot read the data of a hash tree");
		for (size_t i = 0; r == 0 && i < n; i++) {
			r = hasher_block(&b->hasher, b->data + i * VERITY_BLOCK_SIZE, digest, err);
			if (r == 0)
				r = add_digest(b, 0, digest, err);
		}
		if (r < 0)
			return r;
		done += n;
	}
	/* What is left half full, from the bottom up. */
	for (unsigned int i = 0; i < b->shape.levels; i++) {
		int r = 0;

		if (b->levels[i].used > 0)
			r = finish_block(b, i, digest, err);
		else
			continue;
		if (r == 0)
			r = add_digest(b, i + 1, digest, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int verity_format(struct verity *v, const struct verity_place *place, struct error *err)
{
	_cleanup_free_ struct builder *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return error_set(err, ENOMEM, "no memory for a hash tree");
	b->v = v;
	b->hash_fd = place->hash_fd;
	r = place_check(v, place, &b->shape, &b->tree, err);
	if (r == 0)
		r = hasher_init(&b->hasher, v, err);
	if (r == 0)
		r = hash_data(b, place, err);
	hasher_done(&b->hasher);
	if (r == 0 && place->superblock) {
		uint8_t *block = b->data;

		memset(block, 0, VERITY_BLOCK_SIZE);
		verity_super_format(v, block);
		r = fs_pwrite_all(place->hash_fd, block, VERITY_BLOCK_SIZE, place->hash_offset);
		if (r < 0)
			error_errno(err, -r, "cannot write the superblock of a hash tree");
	}
	return r;
}
