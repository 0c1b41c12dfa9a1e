/* SPDX-License-Identifier: Apache-2.0 */
/* image: bounded access to the bytes of an image. Private to the reader (reader.h). */
#pragma once

#include "lib/erofs/compressed.h"
#include "lib/erofs/format.h"
#include "lib/erofs/reader.h"
#include "lib/erofs/writer.h"

#define IMAGE_CACHE_BLOCKS 32u

struct erofs_image {
	int fd; /* the caller's; -1: `memory` */
	const uint8_t *memory;
	uint64_t size;
	struct erofs_super super;
	uint8_t *cache; /* owned; IMAGE_CACHE_BLOCKS blocks, by number modulo */
	uint64_t cached[IMAGE_CACHE_BLOCKS]; /* block number + 1, 0 for none */
	struct run_cache runs;
};

/* The bytes of a block, fewer than 4096 at the image's ragged end. They stay until
 * another block is asked for. */
int image_block(struct erofs_image *image, uint64_t block, const uint8_t **data, size_t *size,
                struct error *err);
/* Copies `size` bytes; -EUCLEAN when they are not all within the image. */
int image_read(struct erofs_image *image, uint64_t at, void *buf, size_t size, struct error *err);

/* "the image is damaged: ..." */
int image_damaged(struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), cold));

/* Bytes of the inode itself. */
static inline uint32_t image_inode_size(const struct erofs_stat *st)
{
	return st->extended ? INODE_EXTENDED_SIZE : INODE_COMPACT_SIZE;
}

static inline bool image_is_compressed(const struct erofs_stat *st)
{
	return st->layout == EROFS_LAYOUT_COMPRESSED_FULL ||
	       st->layout == EROFS_LAYOUT_COMPRESSED_COMPACT;
}

/* Where an inline layout's last, partial block is; the block must hold all of it. */
int image_tail(const struct erofs_stat *st, uint64_t *at, uint32_t *size, struct error *err);

/* As erofs_xattrs(), without the shared ones that `skip` (NULL: none) is true for. */
int image_xattrs(struct erofs_image *image, const struct erofs_stat *st,
                 bool (*skip)(uint32_t id, void *data), erofs_xattr_fn fn, void *data,
                 struct error *err);

/* Where a chunked file's bytes from `offset` on are: *at (0: a hole, which reads as zeros), and
 * how many follow one another there, at least one when offset is within the file. */
int image_chunk(struct erofs_image *image, const struct erofs_stat *st, uint64_t offset,
                uint64_t *at, uint64_t *size, struct error *err);

struct image_dirent {
	char name[256]; /* NUL-terminated */
	size_t len;
	uint64_t nid;
	uint8_t type;
};

struct image_dir_pos {
	uint64_t block; /* of the directory's data */
	uint32_t index; /* in the block */
};

/* The entry at *pos, which moves on: 1, or 0 at the end. */
int image_next_dirent(struct erofs_image *image, const struct erofs_stat *dir,
                      struct image_dir_pos *pos, struct image_dirent *out, struct error *err);
