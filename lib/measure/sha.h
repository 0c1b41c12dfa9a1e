/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sha: digests of bytes in memory, and registers that are extended with them.
 *
 * Bytes stay the caller's. The only errors are those of a full memory and of a libcrypto that
 * lacks the algorithm (-EIO).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

enum sha_alg { SHA_ALG_256, SHA_ALG_384, SHA_ALG_512 };

#define SHA_MAX_SIZE 64 /* bytes of the longest digest */
#define SHA384_SIZE  48
#define SHA256_SIZE  32

const char *sha_name(enum sha_alg alg); /* "sha256" */
size_t sha_size(enum sha_alg alg);      /* bytes */

/* Bytes that belong to somebody else; data NULL: none. */
struct blob {
	const uint8_t *data;
	size_t size;
};

/* The digest of the parts, one after the other. */
int sha_of(enum sha_alg alg, const struct blob *parts, size_t n, uint8_t *out, struct error *err);

/* A digest that is fed piece by piece. */
struct sha_stream {
	void *ctx; /* libcrypto's; NULL: not open */
};
int sha_open(struct sha_stream *s, enum sha_alg alg, struct error *err);
int sha_add(struct sha_stream *s, const void *data, size_t size, struct error *err);
int sha_close(struct sha_stream *s, uint8_t *out, struct error *err);
void sha_free(struct sha_stream *s); /* fine after sha_close(), and on zeros */
#define _cleanup_sha_ __attribute__((cleanup(sha_free)))
