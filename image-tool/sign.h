/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign: detached signatures over image.json, which names the digest of all the rest.
 *
 * image.json.sig is the plain signature over the bytes of image.json, as OpenSSL's own tools
 * make and check it: Ed25519 (RFC 8032), or ECDSA with SHA-256 on P-256 and SHA-384 on
 * P-384 (DER). Ed25519 gives the same bytes for the same image, ECDSA does not. Keys are PEM
 * files without a passphrase.
 */
#pragma once

#include <stddef.h>

#include "image-tool/stage.h"
#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/guestimg/guestimg.h"

#define SIGNATURE_MAX 4096u /* bytes */

/* Puts image.json.sig into the stage, over what stage_publish() will write as image.json. */
int sign_image(struct stage *stage, const struct guestimg *img, const char *key, struct error *err);

/* Whether the key can sign: before work that takes minutes. Errors as of sign_bytes(). */
int sign_ready(const char *key, struct error *err);

/* -EINVAL (kind input), -ENOENT (environment): not a private key that this can sign with. */
int sign_bytes(const char *key, const void *data, size_t size, struct buffer *signature,
               struct error *err);
/* The same, with SHA-256 whatever the curve: cosign and containers/image check no other. */
int sign_sigstore(const char *key, const void *data, size_t size, struct buffer *signature,
                  struct error *err);
/* -EBADMSG (kind verification): not a signature over these bytes by the key's owner. `what` names
 * them. -EINVAL (kind input), -ENOENT: not a public key. */
int sign_check(const char *public_key, const void *data, size_t size, const void *signature,
               size_t signature_size, const char *what, struct error *err);
