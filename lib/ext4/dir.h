/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dir: an ext4 directory, whose names are kept until all are known. Private to lib/ext4.
 *
 * One block holds "." and ".." and the names in the order in which they came. A directory that
 * needs more gets a hash tree (Documentation/filesystems/ext4/directory.rst, "Hash Tree
 * Directories"), so that a name is found by reading two or three blocks however many there are.
 */
#pragma once

#include "lib/base/bytes.h"
#include "lib/ext4/volume.h"

struct dir {
	ext2_ino_t ino;
	ext2_ino_t parent;
	struct erofs_stat st; /* nlink and size are counted here */
	struct buffer names;  /* struct name, one behind the other */
	size_t n;             /* of them */
	size_t bytes;         /* that they take in blocks, with "." and ".." */
};

/* A name as it is kept: 6 bytes and the name itself. */
struct dir_name {
	uint32_t ino;
	uint8_t type; /* EXT2_FT_... */
	uint8_t len;
	const char *text;
};

#define DIR_NAME_HEAD 6u

/* Bytes of an entry with a name of len bytes. */
static inline size_t dir_entry_size(size_t len)
{
	return (8 + len + 3) & ~(size_t)3;
}

/* Bytes of a block that entries may take; the rest holds its checksum. */
#define DIR_BLOCK_ROOM (EXT4_BLOCK_SIZE - 12u)
#define DIR_DOTS       (12u + 12u) /* bytes of "." and ".." */

int dir_open(struct dir *d, ext2_ino_t ino, ext2_ino_t parent, const struct erofs_stat *st);
int dir_add(struct dir *d, struct volume *v, const char *name, size_t len, ext2_ino_t ino,
            uint32_t mode);
/* Writes blocks and inode. */
int dir_finish(struct dir *d, struct volume *v);
void dir_free(struct dir *d);

/* The most blocks that a directory takes whose entries take that many bytes, dots included. */
uint64_t dir_blocks(uint64_t bytes);

/* The name at that place of d->names. */
struct dir_name dir_name_at(const struct dir *d, size_t at);

/* A block being filled with entries. */
struct dir_block {
	uint8_t bytes[EXT4_BLOCK_SIZE];
	size_t used, last; /* bytes; where the last entry begins */
};

void dir_block_clear(struct dir_block *b);
/* False when it does not fit any more. */
bool dir_block_add(struct dir_block *b, const struct dir_name *name);
/* Gives the last entry what is left, and the block its tail. */
void dir_block_close(struct dir_block *b, struct volume *v);
