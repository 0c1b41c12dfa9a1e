/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encrypt: layers in the format of ocicrypt (AES_256_CTR_HMAC_SHA256), for who holds a private
 * key, or for a guest that gets its key from a key broker.
 *
 * A layer has a random key of its own, which is wrapped once for each recipient:
 *
 *	FILE, jwe:FILE           a public key in PEM (RSA, EC):
 *org.opencontainers.image.enc.keys.jwe kbs:///REPO/TYPE/TAG=FILE  the 32 bytes of FILE, which the
 *key broker has under that name: org.opencontainers.image.enc.keys.provider.attestation-agent
 *
 * Two encryptions of the same bytes differ: the key is new each time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/oci/digest.h"

#define ENCRYPT_PUBOPTS  "org.opencontainers.image.enc.pubopts"
#define ENCRYPT_JWE      "org.opencontainers.image.enc.keys.jwe"
#define ENCRYPT_PROVIDER "org.opencontainers.image.enc.keys.provider.attestation-agent"

struct recipients;

int recipients_new(struct recipients **out, struct error *err);
void recipients_free(struct recipients *r);
DEFINE_CLEANUP(struct recipients, recipients, recipients_free)
#define _cleanup_recipients_ _cleanup_(cleanup_recipients)
/* -EINVAL (kind input), -ENOENT (environment): there is no such key. */
int recipients_add(struct recipients *r, const char *spec, struct error *err);

/* Values of the annotations of a layer's descriptor; empty: there is none. */
struct encrypted {
	struct digest digest; /* SHA-256 of the ciphertext, which is as long as the plain text */
	struct buffer pubopts, jwe, provider;
};
void encrypted_clear(struct encrypted *e);
#define _cleanup_encrypted_ _cleanup_(encrypted_clear)

/* Replaces the `size` bytes of a file, whose digest is `plain`, by their ciphertext. Several
 * threads may do so with the same recipients. */
int encrypt_file(const struct recipients *r, int fd, uint64_t size, const struct digest *plain,
                 struct encrypted *out, struct error *err);
