/* SPDX-License-Identifier: Apache-2.0 */
/*
 * push: what goes into a repository (OCI distribution-spec 1.1, push and referrers).
 *
 * On top of the registry client: it logs in, waits and tries again in the same way. What the
 * registry has already is not sent. Nothing here checks that a blob has its digest: the
 * registry does, and refuses it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/image/http.h"
#include "lib/image/registry.h"
#include "lib/oci/digest.h"

/* A blob up to this size goes in one request, a larger one in pieces of it, so that a broken
 * transfer costs one piece. */
#define PUSH_CHUNK (64u << 20)

/* {}: the config of an artifact that has none (image-spec manifest.md, "empty descriptor"). */
#define PUSH_EMPTY_TYPE   "application/vnd.oci.empty.v1+json"
#define PUSH_EMPTY_DIGEST "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define PUSH_EMPTY        ((struct http_source){.data = "{}", .size = 2})

/* 0: sent; 1: the registry has it already. Errors (other than http's): -EACCES (no login, or it
 * may not write), -EBADMSG (kind verification: the bytes do not have that digest), -EPROTO, -EIO.
 */
int push_blob(struct registry *r, struct http *http, const struct digest *digest,
              const struct http_source *bytes, struct error *err);

/* A manifest or index, whose blobs are there, under a tag, or under its digest when version is
 * NULL. *digest (may be NULL): SHA-256 of the bytes. 0: sent; 1: it is there already, and the tag
 * means it. */
int push_manifest(struct registry *r, struct http *http, const char *version,
                  const char *media_type, const void *json, size_t size, struct digest *digest,
                  struct error *err);

/* A manifest with a "subject" (image-spec manifest.md), under its digest; the subject need not
 * be there. Where the registry lacks the referrers API it is entered in the index with the
 * subject's tag, "sha256-<hex>" (distribution-spec, "Referrers Tag Schema"). 0: sent; 1: all of
 * it was there. -EINVAL: the manifest has no subject. */
int push_referrer(struct registry *r, struct http *http, const void *json, size_t size,
                  struct digest *digest, struct error *err);
