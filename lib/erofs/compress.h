/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compress: the compressors that the writer may be given.
 *
 * A compressor is a table of functions, so that only programs that name one are linked with
 * its library.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

struct erofs_compressor {
	const char *name;
	int min_level, max_level; /* equal: there are no levels */
	int default_level;
	size_t state_size; /* bytes, aligned as malloc() does */
	/* Compresses as much of `in` as fits in `out` of `room` bytes. *size is how much there is
	 * and then how much was taken; returns the bytes of `out`, 0 for nothing. */
	size_t (*fill)(void *state, int level, const uint8_t *in, size_t *size, uint8_t *out,
	               size_t room);
};

/* Both make the LZ4 block format, which EROFS in every Linux reads. The same version of liblz4
 * makes the same bytes. */
extern const struct erofs_compressor erofs_lz4;   /* fast to make */
extern const struct erofs_compressor erofs_lz4hc; /* smaller; levels 1 to 12, 9 */

/* "1.9.4" */
const char *erofs_lz4_version(void);

struct erofs_compression {
	const struct erofs_compressor *compressor; /* NULL: none */
	int level;
	uint32_t cluster_blocks; /* at most, of one cluster: 1 to 256 */
};

#define EROFS_CLUSTER_BLOCKS 4u

/* "lz4", "lz4hc" or "lz4hc,LEVEL" with clusters of 16 KiB. -EINVAL (kind usage). */
int erofs_compression_parse(const char *text, struct erofs_compression *out, struct error *err);
