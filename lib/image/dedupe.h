/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dedupe: content that an image has already is not stored again, file by file as it streams by.
 *
 * Content is looked at in pieces of EROFS_CHUNK_SIZE from a file's beginning (the last one is
 * shorter). A file without a piece that was seen before is one run of blocks as always; one that
 * is wholly another's gets that one's blocks; any other is chunked (tree.h), which DAX still maps,
 * in 4 KiB pages.
 *
 * Pieces are known by their SHA-256, of which 128 bits are kept: to make two look the same on
 * purpose takes 2^64 tries, and who does spoils his own image only. About 50 bytes a piece.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/erofs/tree.h"
#include "lib/erofs/writer.h"

struct dedupe;

/* Content goes to the writer, which must have EROFS_WRITE_SHARED and outlive this. */
int dedupe_new(struct erofs_writer *writer, struct dedupe **out, struct error *err);
void dedupe_free(struct dedupe *d);
DEFINE_CLEANUP(struct dedupe, dedupe, dedupe_free)
#define _cleanup_dedupe_ _cleanup_(cleanup_dedupe)

/* One file at a time, of exactly `size` bytes, not 0; p NULL: n zeros. */
int dedupe_begin(struct dedupe *d, uint64_t size, struct error *err);
int dedupe_feed(struct dedupe *d, const uint8_t *p, uint64_t n, struct error *err);
/* The content becomes the node's. */
int dedupe_end(struct dedupe *d, struct erofs_tree *tree, struct erofs_node *node,
               struct error *err);
