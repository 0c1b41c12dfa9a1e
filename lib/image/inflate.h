/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inflate: the decompression stage of a layer. Bytes are pushed in as they arrive and
 * come out through a function; memory stays below a megabyte (zstd: its window, at
 * most 128 MiB, as the frame asks).
 *
 * gzip (RFC 1952) may be of several members; their checksums are checked. zstd (RFC
 * 8878) may be of several frames with skippable ones between. Anything after the last
 * member or frame that is not another one is an error, as is an end in the middle.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/oci/image_spec.h"

struct inflate;

/* Takes plain bytes; 0, or an error that ends the stream and is returned on. */
typedef int (*inflate_fn)(void *data, const uint8_t *p, size_t n, struct error *err);

/* IMAGE_PLAIN passes bytes on. */
int inflate_new(enum image_compression how, inflate_fn fn, void *data, struct inflate **out,
                struct error *err);
void inflate_free(struct inflate *z);
DEFINE_CLEANUP(struct inflate, inflate, inflate_free)
#define _cleanup_inflate_ _cleanup_(cleanup_inflate)

/* -EINVAL (kind input): not such a stream, or damaged. */
int inflate_feed(struct inflate *z, const uint8_t *p, size_t n, struct error *err);
/* The input is over: -ENODATA when the stream is not. */
int inflate_end(struct inflate *z, struct error *err);
