/* SPDX-License-Identifier: Apache-2.0 */
/* hash: computes and checks digests of streams (OpenSSL). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/oci/digest.h"

struct hash;

int hash_new(enum digest_algorithm alg, struct hash **out, struct error *err);
void hash_free(struct hash *h);
DEFINE_CLEANUP(struct hash, hash, hash_free)
#define _cleanup_hash_ _cleanup_(cleanup_hash)

int hash_update(struct hash *h, const void *data, size_t size, struct error *err);
/* The digest of everything so far; the hash takes no more. */
int hash_final(struct hash *h, struct digest *out, struct error *err);

/* Of bytes in memory. */
int hash_bytes(enum digest_algorithm alg, const void *data, size_t size, struct digest *out,
               struct error *err);
/* -EBADMSG (kind verification) when the bytes do not have that digest. */
int hash_check(const struct digest *want, const void *data, size_t size, const char *what,
               struct error *err);
/* The error of hash_check, for those who computed piece by piece. */
int hash_mismatch(const struct digest *want, const struct digest *got, const char *what,
                  struct error *err);
