/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dedupe: files of one image that have the same content, found as the content streams by.
 *
 * By SHA-256, of which 128 bits are kept: to make two files look the same on purpose takes 2^64
 * tries, and the one who does spoils his own image only. About 40 bytes a file.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/erofs/tree.h"

struct dedupe;

int dedupe_new(struct dedupe **out, struct error *err);
void dedupe_free(struct dedupe *d);
DEFINE_CLEANUP(struct dedupe, dedupe, dedupe_free)
#define _cleanup_dedupe_ _cleanup_(cleanup_dedupe)

int dedupe_begin(struct dedupe *d, struct error *err);
/* p NULL: n zeros. */
int dedupe_feed(struct dedupe *d, const uint8_t *p, uint64_t n, struct error *err);
/* The content is complete. 0: it is at *block already; 1: it is new, and dedupe_place() says where
 * it is. Files of other sizes have other content. */
int dedupe_end(struct dedupe *d, uint32_t *block, struct error *err);
int dedupe_place(struct dedupe *d, uint32_t block, struct error *err);
