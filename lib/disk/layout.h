/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout: the disk image that Kata's runtimes take as `image=`.
 *
 *	0        partition table of the file as a plain disk
 *	4096     DAX information block
 *	2 MiB    partition table of the same partitions as /dev/pmem0 shows them, which
 *	         begins here
 *	3 MiB    partition 1: the root file system
 *	         partition 2, where there is one: its dm-verity hash tree, on the next MiB
 *
 * The size is the least multiple of 2 MiB, which is what a guest can map as memory; the file may be
 * larger. All is computed in one place: both tables always say the same.
 */
#pragma once

#include <stdint.h>

#include "lib/base/error.h"
#include "lib/disk/mbr.h"

#define DISK_DAX_START  (2u << 20) /* where /dev/pmem0 begins */
#define DISK_ROOT_START (3u << 20)

struct disk_layout {
	uint64_t size;
	uint64_t root_start, root_size;
	uint64_t hash_start, hash_size; /* 0: no hash tree */
};

/* Sizes in bytes; rounded up to what partitions need. -EFBIG. */
int disk_layout_plan(uint64_t root_size, uint64_t hash_size, struct disk_layout *out,
                     struct error *err);
/* Writes what is before the root file system. fd is a file of out->size bytes; bytes there that
 * hold nothing are left as they are. id: disk signature. */
int disk_layout_write(const struct disk_layout *l, int fd, uint32_t id, struct error *err);
/* The layout of somebody's image. 1: the file is no such disk. -EUCLEAN (kind input): it is one,
 * but its tables and its information block do not agree. */
int disk_layout_read(int fd, struct disk_layout *out, struct error *err);
