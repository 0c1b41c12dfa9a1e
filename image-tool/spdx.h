/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spdx: an image as an SPDX 2.3 document in JSON: the image, its root, what they were made of,
 * every file with its digests.
 *
 * The same image gives the same bytes: the time is the image's own, the namespace is made from
 * a digest of the document.
 */
#pragma once

#include <stdbool.h>

#include "image-tool/contents.h"
#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/guestimg/guestimg.h"

int spdx_format(const struct guestimg *img, const struct contents *c, struct buffer *out,
                struct error *err);

/* Whether the text has the form of a licence expression (SPDX 2.3 annex D): identifiers joined by
 * AND, OR and WITH. Whether such a licence exists is not looked at. */
bool spdx_is_expression(const char *text);

/* "2026-11-22T01:02:03Z" (SPDX 2.3 section 6.9, RFC 3339), of seconds since 1970. */
#define SPDX_TIME_MAX 32
void spdx_time(uint64_t seconds, char out[SPDX_TIME_MAX]);

/* The package URL of the Debian package, appended. */
void spdx_purl(const struct guestimg_package *p, struct buffer *out);
