/* SPDX-License-Identifier: Apache-2.0 */
/* compressed: the bytes of compressed files. Private to the reader (reader.h). */
#pragma once

#include "lib/erofs/clusters.h"

/* The last run that was decompressed, and room to do it in; at most 13 MiB together. */
struct run_cache {
	uint64_t block; /* of the cluster, 0 for none */
	uint64_t length;
	uint8_t *run;    /* owned, as is the next */
	uint8_t *packed; /* a cluster's bytes, for images that are read from a descriptor */
	size_t run_room, packed_room;
};

void run_cache_free(struct run_cache *cache);

/* As erofs_pread(), of a compressed file, with 0 < size and offset + size within the file. */
int compressed_read(struct erofs_image *image, const struct erofs_stat *st, uint8_t *buf,
                    size_t size, uint64_t offset, struct error *err);
/* Whether a cluster decompresses to its run. */
int compressed_check(struct erofs_image *image, const struct erofs_stat *st,
                     const struct cluster *cluster, struct error *err);
