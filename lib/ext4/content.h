/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content: what of a file an ext4 image must hold, and what is a hole. Private to lib/ext4.
 *
 * A piece of CONTENT_PIECE bytes of a file (on such a boundary; the last may be shorter) that is
 * all zeros is a hole. Content alone decides: where the source's file system keeps holes differs
 * from machine to machine. Shorter runs of zeros are kept, as files with many extents are slow to
 * read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/erofs/reader.h"

#define CONTENT_PIECE (64u << 10)

struct content {
	struct erofs_image *image;
	bool (*interrupted)(void); /* NULL: never */
	uint8_t *buf;              /* the caller's; CONTENT_PIECE bytes */
};

/* Bytes of a file; begin with zeros. */
struct content_range {
	uint64_t start, end; /* start: of a piece; end: of one, or of the file */
};

/* The next range that has content: 1, or 0 when there is no more. -EINTR. */
int content_next(struct content *c, const struct erofs_stat *st, struct content_range *range,
                 struct error *err);
/* Exactly `size` bytes; -EUCLEAN (kind input) when there are fewer, -EINTR. */
int content_read(struct content *c, const struct erofs_stat *st, void *buf, size_t size,
                 uint64_t offset, struct error *err);
