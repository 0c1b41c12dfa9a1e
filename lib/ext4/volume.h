/* SPDX-License-Identifier: Apache-2.0 */
/* volume: an ext4 file system being made: blocks, inodes, content. Private to lib/ext4. */
#pragma once

/* Before ext2fs.h, which takes dev_t and mode_t for granted. */
#include <sys/types.h>

#include <ext2fs/ext2fs.h>
#include <stddef.h>

#include "lib/ext4/ext4.h"

/* Blocks of a file that are next to each other. */
struct run {
	uint64_t block;
	uint64_t at;     /* which block of the file its first is */
	uint32_t blocks; /* at most EXT_INIT_MAX_LEN */
};

struct runs {
	struct run *v; /* owned */
	size_t n, room;
	uint64_t blocks;
	uint64_t end; /* of the file, in blocks, so far: set it further for a hole */
};

struct volume {
	ext2_filsys fs;
	int fd;           /* the caller's */
	uint64_t goal;    /* where the next block is looked for */
	ext2_ino_t inode; /* the last one given out */
	uint64_t needed;  /* bytes, see volume_create() */
	struct error *err;
};

/* What the files need: blocks of content, directories, symlinks and xattrs; inodes. */
struct volume_need {
	uint64_t blocks;
	uint64_t inodes;
};

/* 1: opts->size is not enough; v->needed is. */
int volume_create(struct volume *v, int fd, const struct ext4_write_opts *opts,
                  const struct volume_need *need, struct error *err);
/* Writes all that is not in the file yet. */
int volume_finish(struct volume *v, uint64_t *size);
void volume_free(struct volume *v);

/* -errno and a line for a code of libext2fs. */
int volume_failed(struct volume *v, errcode_t code, const char *doing);

int volume_new_inode(struct volume *v, bool dir, ext2_ino_t *out);
/* Takes `blocks` more blocks, for the file's from runs->end on. */
int volume_allocate(struct volume *v, struct runs *runs, uint64_t blocks);
/* Writes the inode of st with that content; inodes of devices, pipes and empty files have none.
 * flags: EXT2_..._FL.
 * inline_data: a short symlink's target, at most 59 bytes. */
int volume_write_inode(struct volume *v, ext2_ino_t ino, const struct erofs_stat *st,
                       const struct runs *runs, uint32_t flags, const void *inline_data,
                       size_t inline_size);

int runs_add(struct runs *r, uint64_t block, uint64_t blocks, struct error *err);
void runs_free(struct runs *r);
#define _cleanup_runs_ __attribute__((cleanup(runs_free)))
