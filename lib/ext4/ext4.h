/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: writes an ext4 image that holds what an EROFS image holds, without mounting either.
 *
 * Blocks of 4096 bytes (what DAX needs), inodes of 256, extents, checksums over all metadata
 * (metadata_csum), no room beyond what the files take but what rounding leaves: the image is made
 * to be read, unless a size is asked for. Directories of more than a block are indexed (dir_index),
 * there is no lost+found. Zeros that fill 64 KiB of a file are a hole, wherever the source has one.
 * The same image and options give the same bytes: UUID, hash seed and all times are given.
 *
 * Memory: the names in the directories from the root to the one being written, 24 bytes for each
 * name of one being indexed, 16 bytes a file with hard links, libext2fs's bitmaps.
 *
 * Errors: those of the EROFS reader; -E2BIG xattrs of one file that do not fit in a block,
 * -EMLINK more than 65000 links, -EFBIG more than 2^32 blocks or inodes, errno values of the
 * output, -EINTR, -EIO what libext2fs says.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/erofs/reader.h"

#define EXT4_BLOCK_SIZE 4096u

struct ext4_write_opts {
	uint8_t uuid[16]; /* also the seed of directory hashes */
	char label[16];   /* not NUL-terminated when full */
	int64_t time;     /* of the superblock, where 0 is written as 1; files have their own */
	/* A clean journal of 4 MiB, without which the kernel refuses the mount option data=ordered
	 * that Kata's runtimes give. */
	bool journal;
	uint64_t size; /* bytes, whole blocks; 0: the least that holds the files */
	/* Asked between pieces of content: true ends the writing (-EINTR). NULL: never. */
	bool (*interrupted)(void);
};

struct ext4_write_stats {
	uint64_t size; /* bytes of the image; of one that would do, see below */
	uint64_t inodes;
};

/* The output is a regular file, open for reading and writing; it is emptied first and neither
 * synced nor closed. stats may be NULL. 1: opts->size is too small; nothing was written. */
int ext4_write(struct erofs_image *image, int out_fd, const struct ext4_write_opts *opts,
               struct ext4_write_stats *stats, struct error *err);
