/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar_sparse: where the stored bytes of a sparse member go. GNU's old form (type 'S',
 * the map in the header and in blocks after it) and the pax forms 0.0, 0.1 (in the
 * extended header) and 1.0 (in front of the bytes).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/image/tar_header.h"

#define TAR_SPARSE_MAX 65536 /* pieces of one member */

struct tar_piece {
	uint64_t offset;
	uint64_t size;
};

struct tar_sparse {
	struct tar_piece *v; /* owned */
	size_t n, room;
	uint64_t real_size; /* of the whole file */
	size_t scanned;     /* tar_sparse_lines(): bytes looked at */
	uint64_t lines;     /* ... line ends among them */
	uint64_t want;      /* ... and how many the map has, 0 while unknown */
};

void tar_sparse_clear(struct tar_sparse *s); /* empty, memory kept */
void tar_sparse_free(struct tar_sparse *s);
int tar_sparse_add(struct tar_sparse *s, uint64_t offset, uint64_t size, struct error *err);

/* The map in a GNU header, or in a block that follows one; sets *more when another
 * block of it comes. */
int tar_sparse_gnu_header(struct tar_sparse *s, const uint8_t block[TAR_BLOCK], bool *more,
                          struct error *err);
int tar_sparse_gnu_block(struct tar_sparse *s, const uint8_t block[TAR_BLOCK], bool *more,
                         struct error *err);
/* "offset,size,offset,size..." (pax 0.1). */
int tar_sparse_text(struct tar_sparse *s, const char *text, struct error *err);
/* The lines in front of the bytes (pax 1.0): a count, then offset and size in turn.
 * 1: the map is not at its end in these bytes: call again with them and more. */
int tar_sparse_lines(struct tar_sparse *s, const uint8_t *p, size_t n, struct error *err);

/* Pieces in order, apart, inside the file, and as many bytes as are stored. */
int tar_sparse_check(const struct tar_sparse *s, uint64_t stored, struct error *err);
