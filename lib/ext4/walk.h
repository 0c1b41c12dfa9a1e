/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk: looks at everything in an ext2, ext3 or ext4 image that somebody else made, through
 * libext2fs, read-only and without mounting it.
 *
 * The image is a range of a file. libext2fs checks the checksums of what it reads
 * (metadata_csum); what it leaves open is checked here: sizes against the range, each block used
 * once and marked as used, link counts, "." and "..", every directory reached by one name. Damage
 * is -EUCLEAN (kind input). Features that libext2fs does not know are -EOPNOTSUPP (kind input).
 *
 * Memory: the bitmaps, and the names of the directories on the present path.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#define EXT4_NOWHERE UINT64_MAX

struct ext4_image;

struct ext4_summary {
	uint64_t blocks, free_blocks;
	uint32_t block_size; /* bytes */
	uint32_t inodes, free_inodes;
	uint8_t uuid[16];
	char label[17];
	bool journal;
	bool needs_recovery; /* the journal holds what the file system does not yet */
	char features[512];  /* their names, as dumpe2fs says them, blanks between */
};

struct ext4_entry {
	const char *path; /* without a leading slash; "" the root; valid during the call */
	uint32_t ino;
	uint32_t mode, uid, gid, nlink;
	uint32_t rdev_major, rdev_minor;
	uint64_t size;
	int64_t mtime;
	uint64_t offset; /* of the content in the file the image is in; EXT4_NOWHERE: none there */
	bool contiguous; /* all of the content is there in one piece */
};

/* The descriptor stays the caller's and open. */
int ext4_open(struct ext4_image **out, int fd, uint64_t offset, uint64_t size, struct error *err);
void ext4_close(struct ext4_image *image);
DEFINE_CLEANUP(struct ext4_image, ext4_image, ext4_close)
#define _cleanup_ext4_image_ _cleanup_(cleanup_ext4_image)

void ext4_summarize(struct ext4_image *image, struct ext4_summary *out);

/* Each path once, parents first; lost+found is a directory as any. Non-zero stops and is returned.
 */
typedef int (*ext4_walk_fn)(const struct ext4_entry *e, void *data, struct error *err);
int ext4_walk(struct ext4_image *image, ext4_walk_fn fn, void *data, struct error *err);

/* The content of a file, or the target of a symbolic link, piece by piece in order. */
typedef int (*ext4_bytes_fn)(const uint8_t *p, size_t n, void *data, struct error *err);
int ext4_read(struct ext4_image *image, uint32_t ino, ext4_bytes_fn fn, void *data,
              struct error *err);
/* Each extended attribute of an inode, name with its prefix. */
typedef int (*ext4_xattr_fn)(const char *name, const void *value, size_t size, void *data,
                             struct error *err);
int ext4_xattrs(struct ext4_image *image, uint32_t ino, ext4_xattr_fn fn, void *data,
                struct error *err);

/* Walks everything, and compares what files use with the bitmaps and the counters. */
int ext4_check(struct ext4_image *image, struct error *err);
