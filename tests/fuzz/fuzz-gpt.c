/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes GUID partition tables. Checksums are made right first, or nothing would get past them;
 * what is taken lies on the disk, and nothing overlaps. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/disk/gpt.h"

#define BLOCK 512u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	while (n-- > 0) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void fix_header(uint8_t *disk, size_t size, size_t lba)
{
	uint8_t *h = disk + lba * BLOCK;
	uint64_t at = get_le64(h + 72), n = (uint64_t)get_le32(h + 80) * get_le32(h + 84);
	uint32_t header_size = get_le32(h + 12);

	if (at < size / BLOCK && n <= size - at * BLOCK)
		put_le32(h + 88, crc32_of(disk + at * BLOCK, (size_t)n));
	if (header_size > BLOCK)
		return;
	put_le32(h + 16, 0);
	put_le32(h + 16, crc32_of(h, header_size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *disk = malloc(size ? size : 1);
	struct gpt gpt;

	memcpy(disk, data, size);
	if (size >= 4 * BLOCK) {
		fix_header(disk, size, 1);
		fix_header(disk, size, size / BLOCK - 1);
	}
	if (gpt_parse(disk, size, BLOCK, &gpt, NULL) == 0) {
		for (size_t i = 0; i < gpt.n; i++) {
			const struct gpt_partition *p = &gpt.partitions[i];

			if (p->size == 0 || p->start < BLOCK || p->start > size ||
			    p->size > size - p->start || gpt_find(&gpt, p->number) != p)
				abort();
			for (size_t j = 0; j < i && j < 64; j++)
				if (p->start < gpt.partitions[j].start + gpt.partitions[j].size &&
				    gpt.partitions[j].start < p->start + p->size)
					abort();
		}
		gpt_free(&gpt);
	}
	free(disk);
	return 0;
}
