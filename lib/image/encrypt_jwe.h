/* SPDX-License-Identifier: Apache-2.0 */
/* encrypt_jwe: JSON Web Encryption (RFC 7516) for one recipient, flattened, content A256GCM. */
#pragma once

#include <openssl/types.h>
#include <stddef.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

/* Appends {"protected","encrypted_key","iv","ciphertext","tag"}. RSA keys of 2048 bits and more:
 * RSA-OAEP; EC keys on P-256, P-384, P-521: ECDH-ES+A256KW; others -EINVAL (kind input). */
int jwe_encrypt(EVP_PKEY *recipient, const void *plain, size_t size, struct buffer *out,
                struct error *err);
/* -EINVAL: not a key that jwe_encrypt() can use. */
int jwe_check_key(EVP_PKEY *recipient, struct error *err);

/* AES-256-GCM without additional data when aad is NULL; the tag is appended to `out` after the
 * ciphertext, which is as long as the plain text. */
int gcm_encrypt(const uint8_t key[32], const uint8_t iv[12], const char *aad, const void *plain,
                size_t size, struct buffer *out, struct error *err);
int random_bytes(void *out, size_t n, struct error *err);
