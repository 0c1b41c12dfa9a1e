/* SPDX-License-Identifier: Apache-2.0 */
/* shape: where the levels of a hash tree lie. */
#include "lib/verity/shape.h"

#include <errno.h>

int shape_of(uint64_t data_blocks, struct shape *out, struct error *err)
{
	uint64_t n = data_blocks;

	*out = (struct shape){0};
	if (data_blocks == 0 || data_blocks > INT64_MAX / VERITY_BLOCK_SIZE)
		return error_set_kind(err, ERROR_INPUT, data_blocks ? EFBIG : EINVAL,
		                      "no hash tree can be made over %llu blocks",
		                      (unsigned long long)data_blocks);
	while (n > 1) {
		n = (n + VERITY_FANOUT - 1) >> VERITY_FANOUT_BITS;
		out->blocks[out->levels++] = n;
	}
	/* Stored from the root down. */
	for (unsigned int i = out->levels; i-- > 0;) {
		out->start[i] = out->total;
		out->total += out->blocks[i];
	}
	return 0;
}

int verity_tree_size(uint64_t data_blocks, bool superblock, uint64_t *bytes, struct error *err)
{
	struct shape shape;
	int r = shape_of(data_blocks, &shape, err);

	*bytes = (shape.total + superblock) * VERITY_BLOCK_SIZE;
	return r;
}
