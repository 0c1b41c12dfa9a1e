/* SPDX-License-Identifier: Apache-2.0 */
/* shape: the levels of a hash tree, as arithmetic alone. Private to lib/verity. */
#pragma once

#include "lib/verity/verity.h"

#define VERITY_FANOUT_BITS 7u /* 4096 / 32 digests a block */
#define VERITY_FANOUT      (1u << VERITY_FANOUT_BITS)
#define VERITY_LEVELS_MAX  9u /* 63 bits of block numbers */

/* Level 0 is right above the data; the last one is a single block. None for a single block
 * of data, whose digest is the root. */
struct shape {
	unsigned int levels;
	uint64_t start[VERITY_LEVELS_MAX]; /* first block, counted from the tree's start */
	uint64_t blocks[VERITY_LEVELS_MAX];
	uint64_t total;
};

int shape_of(uint64_t data_blocks, struct shape *out, struct error *err);
