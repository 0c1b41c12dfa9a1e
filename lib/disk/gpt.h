/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpt: GUID partition tables, read (UEFI 2.10 §5.3).
 *
 * The table at the disk's beginning counts; where it is damaged, the one at its end, as the
 * specification has it. Checksums, bounds and overlaps are checked before anything is believed.
 * -EUCLEAN (kind input): no table, or none that holds.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define GPT_ENTRIES_MAX 4096u      /* entries of a table; UEFI asks for room for 128 */
#define GPT_TABLE_MAX   (1u << 20) /* bytes of all entries */

struct gpt_partition {
	uint32_t number; /* from 1 */
	uint64_t start;  /* bytes from the start of the disk */
	uint64_t size;   /* bytes; at least a block */
	uint8_t type[16];
	uint8_t uuid[16];
};

struct gpt {
	struct gpt_partition *partitions; /* owned; those in use, by number */
	size_t n;
};

void gpt_free(struct gpt *gpt);
#define _cleanup_gpt_ __attribute__((cleanup(gpt_free)))

/* The disk behind fd: disk_size bytes, in blocks of block_size (512 to 4096, a power of two). */
int gpt_read(int fd, uint64_t disk_size, uint32_t block_size, struct gpt *out, struct error *err);
/* The same of bytes in memory. */
int gpt_parse(const uint8_t *disk, size_t size, uint32_t block_size, struct gpt *out,
              struct error *err);

/* NULL: there is none of that number. */
const struct gpt_partition *gpt_find(const struct gpt *gpt, uint32_t number);
