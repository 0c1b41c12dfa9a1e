/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusters: where the clusters of a compressed file are. Private to the reader (reader.h).
 *
 * Full and compact indexes with clusters of one block or many are understood; what packs
 * several files or the tails of files together (fragments, ztailpacking, partly used clusters
 * of deduplication) and other algorithms than LZ4 are -EOPNOTSUPP. A look-up takes a number
 * of steps that is bounded by the longest run Linux accepts, whatever the index says.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/erofs/reader.h"

struct clusters {
	struct erofs_image *image;
	struct erofs_stat st;
	uint64_t index;  /* byte of the first entry in the image */
	uint64_t n;      /* entries */
	uint64_t n_lead; /* compact: entries of 4 bytes before ... */
	uint64_t n_2b;   /* ... those of 2 bytes; the rest have 4 again */
	uint16_t advise;
};

/* One physical cluster. */
struct cluster {
	uint64_t start;  /* of its run in the file, bytes */
	uint64_t length; /* of the run; at least 1 */
	uint64_t block;
	uint32_t blocks;
	bool plain; /* not compressed; the run is at the beginning */
};

int clusters_open(struct clusters *c, struct erofs_image *image, const struct erofs_stat *st,
                  struct error *err);
/* The cluster that has the byte at `offset`, which is below the file's size. */
int clusters_find(struct clusters *c, uint64_t offset, struct cluster *out, struct error *err);
