/* SPDX-License-Identifier: Apache-2.0 */
/* hasher: SHA-256 of salt and block, and the shape of a tree. Private to lib/verity. */
#pragma once

#include <openssl/evp.h>

#include "lib/verity/verity.h"

#define VERITY_FANOUT_BITS 7u /* 4096 / 32 digests a block */
#define VERITY_FANOUT      (1u << VERITY_FANOUT_BITS)
#define VERITY_LEVELS_MAX  9u /* 63 bits of block numbers */

struct hasher {
	EVP_MD_CTX *salted; /* has taken the salt; copied for each block */
	EVP_MD_CTX *work;
};

int hasher_init(struct hasher *h, const struct verity *v, struct error *err);
void hasher_done(struct hasher *h);
#define _cleanup_hasher_ __attribute__((cleanup(hasher_done)))
int hasher_block(struct hasher *h, const uint8_t *block, uint8_t out[VERITY_DIGEST_SIZE],
                 struct error *err);

/* Level 0 is right above the data; the last one is a single block. None for a single block
 * of data, whose digest is the root. */
struct shape {
	unsigned int levels;
	uint64_t start[VERITY_LEVELS_MAX]; /* first block, counted from the tree's start */
	uint64_t blocks[VERITY_LEVELS_MAX];
	uint64_t total;
};

int shape_of(uint64_t data_blocks, struct shape *out, struct error *err);
/* Checks offsets and the salt; byte offset of the tree itself. */
int place_check(const struct verity *v, const struct verity_place *place, struct shape *shape,
                uint64_t *tree, struct error *err);
