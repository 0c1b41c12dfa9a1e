/* SPDX-License-Identifier: Apache-2.0 */
/* hasher: SHA-256 of salt and block. Private to lib/verity. */
#pragma once

#include <openssl/evp.h>

#include "lib/verity/shape.h"
#include "lib/verity/verity.h"

struct hasher {
	EVP_MD_CTX *salted; /* has taken the salt; copied for each block */
	EVP_MD_CTX *work;
};

int hasher_init(struct hasher *h, const struct verity *v, struct error *err);
void hasher_done(struct hasher *h);
#define _cleanup_hasher_ __attribute__((cleanup(hasher_done)))
int hasher_block(struct hasher *h, const uint8_t *block, uint8_t out[VERITY_DIGEST_SIZE],
                 struct error *err);

/* Checks offsets and the salt; byte offset of the tree itself. */
int place_check(const struct verity *v, const struct verity_place *place, struct shape *shape,
                uint64_t *tree, struct error *err);
