/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mbr: the four primary entries of a PC partition table ("msdos label").
 *
 * Sectors are of 512 bytes. Entries carry block addresses; their cylinder fields hold the
 * value that says so. Extended partitions are read as entries, not followed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define MBR_SIZE       512u
#define MBR_ENTRIES    4u
#define MBR_TYPE_LINUX 0x83u

struct mbr_partition {
	uint64_t start; /* bytes from the start of the disk; a multiple of 512 */
	uint64_t size;  /* bytes; a multiple of 512; 0: no such partition */
	uint8_t type;
	bool boot; /* "active" */
};

struct mbr {
	uint32_t id; /* disk signature; 0: none */
	struct mbr_partition partitions[MBR_ENTRIES];
};

/* -EINVAL: not whole sectors, overlapping, or in the table's own sector; -EFBIG: beyond 2 TiB. */
int mbr_format(const struct mbr *mbr, uint8_t out[MBR_SIZE], struct error *err);
/* Of a disk of disk_size bytes. -EUCLEAN (kind input): no table, or one whose entries leave the
 * disk or overlap. */
int mbr_parse(const uint8_t *data, size_t size, uint64_t disk_size, struct mbr *out,
              struct error *err);
