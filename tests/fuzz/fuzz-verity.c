/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes verity superblocks: what is taken is written and read as the same, and has words. */
#include <stdlib.h>
#include <string.h>

#include "lib/verity/verity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct verity_device dev = {"root", "/dev/vda", "/dev/vdb", 0, true};
	_cleanup_buffer_ struct buffer words = BUFFER_INIT;
	struct verity v, again;
	uint8_t super[VERITY_SUPER_SIZE];
	struct verity_super any;
	uint64_t tree;
	bool known = verity_super_read(data, size, &any, NULL) == 0;

	if (verity_super_parse(data, size, &v, NULL) < 0)
		return 0;
	if (!known || any.data_blocks != v.data_blocks || any.salt_size != v.salt_size)
		abort();
	verity_super_format(&v, super);
	if (verity_super_parse(super, sizeof(super), &again, NULL) < 0 ||
	    memcmp(&v, &again, sizeof(v)) != 0)
		abort();
	if (verity_tree_size(v.data_blocks, true, &tree, NULL) < 0 ||
	    verity_kernel_words(&v, &dev, &words, NULL) < 0)
		abort();
	return 0;
}
