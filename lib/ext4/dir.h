/* SPDX-License-Identifier: Apache-2.0 */
/* dir: a linear ext4 directory, written block by block as names come. Private to lib/ext4. */
#pragma once

#include "lib/ext4/volume.h"

struct dir {
	ext2_ino_t ino;
	ext2_ino_t parent;
	struct erofs_stat st; /* nlink and size are counted here */
	struct runs runs;     /* owned */
	uint8_t *block;       /* owned; the one being filled */
	size_t used, last;    /* bytes of it; where its last entry begins */
};

/* Bytes of an entry with a name of len bytes. */
static inline size_t dir_entry_size(size_t len)
{
	return (8 + len + 3) & ~(size_t)3;
}

/* Bytes of a block that entries may take; the rest holds its checksum. */
#define DIR_BLOCK_ROOM (EXT4_BLOCK_SIZE - 12u)

int dir_open(struct dir *d, struct volume *v, ext2_ino_t ino, ext2_ino_t parent,
             const struct erofs_stat *st);
int dir_add(struct dir *d, struct volume *v, const char *name, size_t len, ext2_ino_t ino,
            uint32_t mode);
/* Writes the last block and the inode. */
int dir_finish(struct dir *d, struct volume *v);
void dir_free(struct dir *d);
