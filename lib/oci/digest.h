/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest: the text form of a content digest, "sha256:<64 hex digits>" (OCI image-spec
 * descriptor.md). Only text: lib/image/hash.h computes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

enum digest_algorithm { DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 };

#define DIGEST_MAX_BYTES 64
#define DIGEST_TEXT_MAX  (7 + 2 * DIGEST_MAX_BYTES + 1)

struct digest {
	char text[DIGEST_TEXT_MAX]; /* canonical: lower case, NUL-terminated; "" is no digest */
};

/* "sha256", "sha384", "sha512" with as many lower-case hex digits as they need; anything
 * else is -EINVAL with a line that says what `what` is. */
int digest_parse(const char *text, const char *what, struct digest *out, struct error *err);
enum digest_algorithm digest_algorithm(const struct digest *d);
/* From the bytes that a hash gave. */
void digest_from_bytes(enum digest_algorithm alg, const uint8_t *bytes, struct digest *out);
bool digest_equal(const struct digest *a, const struct digest *b);

size_t digest_algorithm_size(enum digest_algorithm alg); /* bytes */

/* "sha256-<hex>": as a file name. */
#define DIGEST_FILE_MAX DIGEST_TEXT_MAX
void digest_file_name(const struct digest *d, char out[DIGEST_FILE_MAX]);
