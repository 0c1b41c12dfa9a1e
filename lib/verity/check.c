/* SPDX-License-Identifier: Apache-2.0 */
/* check: reads data and tree as the kernel does, each block against the one above it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/verity/hasher.h"

#define READ_BLOCKS 64u

struct checker {
	const struct verity *v;
	const struct verity_place *place;
	uint64_t tree;
	struct shape shape;
	struct hasher hasher;
	uint64_t loaded[VERITY_LEVELS_MAX]; /* block number in its level + 1; 0: none */
	uint8_t blocks[VERITY_LEVELS_MAX][VERITY_BLOCK_SIZE];
	uint8_t data[READ_BLOCKS * VERITY_BLOCK_SIZE];
};

/* What the block number `index` of what is below `level` must hash to. */
static const uint8_t *expected(const struct checker *c, unsigned int level, uint64_t index)
{
	if (level == c->shape.levels)
		return c->v->root;
	return c->blocks[level] + (index % VERITY_FANOUT) * VERITY_DIGEST_SIZE;
}

static int damaged(struct error *err, const char *what, uint64_t block, uint64_t at)
{
	return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
	                      "%s block %llu (byte %llu) does not have the digest that the hash "
	                      "tree gives it",
	                      what, (unsigned long long)block, (unsigned long long)at);
}

static int load_level(struct checker *c, unsigned int level, uint64_t index, struct error *err)
{
	uint64_t block = c->shape.start[level] + index;
	uint64_t at = c->tree + block * VERITY_BLOCK_SIZE;
	uint8_t digest[VERITY_DIGEST_SIZE];
	int r = fs_pread_all(c->place->hash_fd, c->blocks[level], VERITY_BLOCK_SIZE, at);

	if (r < 0)
		return error_errno(err, -r, "cannot read block %llu of the hash tree",
		                   (unsigned long long)block);
	r = hasher_block(&c->hasher, c->blocks[level], digest, err);
	if (r < 0)
		return r;
	if (memcmp(digest, expected(c, level + 1, index), sizeof(digest)) != 0)
		return damaged(err, "hash", block, at);
	c->loaded[level] = index + 1;
	return 0;
}

static int check_block(struct checker *c, uint64_t number, const uint8_t *data, struct error *err)
{
	uint8_t digest[VERITY_DIGEST_SIZE];
	int r;

	for (unsigned int level = c->shape.levels; level-- > 0;) {
		uint64_t index = number >> (level + 1) * VERITY_FANOUT_BITS;

		r = c->loaded[level] == index + 1 ? 0 : load_level(c, level, index, err);
		if (r < 0)
			return r;
	}
	r = hasher_block(&c->hasher, data, digest, err);
	if (r < 0)
		return r;
	return memcmp(digest, expected(c, 0, number), sizeof(digest)) == 0
	           ? 0
	           : damaged(err, "data", number,
	                     c->place->data_offset + number * VERITY_BLOCK_SIZE);
}

static int check_data(struct checker *c, struct error *err)
{
	uint64_t done = 0;

	while (done < c->v->data_blocks) {
		uint64_t left = c->v->data_blocks - done;
		size_t n = left < READ_BLOCKS ? (size_t)left : READ_BLOCKS;
		int r;

		if (c->place->interrupted && c->place->interrupted())
			return error_set(err, EINTR, "interrupted");
		r = fs_pread_all(c->place->data_fd, c->data, n * VERITY_BLOCK_SIZE,
		                 c->place->data_offset + done * VERITY_BLOCK_SIZE);

		if (r < 0)
			return error_errno(err, -r, "cannot read data block %llu",
			                   (unsigned long long)done);
		for (size_t i = 0; r == 0 && i < n; i++)
			r = check_block(c, done + i, c->data + i * VERITY_BLOCK_SIZE, err);
		if (r < 0)
			return r;
		done += n;
	}
	return 0;
}

int verity_check(const struct verity *v, const struct verity_place *place, struct error *err)
{
	_cleanup_free_ struct checker *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_set(err, ENOMEM, "no memory to check a hash tree");
	c->v = v;
	c->place = place;
	r = place_check(v, place, &c->shape, &c->tree, err);
	if (r == 0)
		r = hasher_init(&c->hasher, v, err);
	if (r == 0)
		r = check_data(c, err);
	hasher_done(&c->hasher);
	return r;
}
