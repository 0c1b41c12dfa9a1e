/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry: the client of one repository (OCI distribution-spec 1.1, pull; push.h writes).
 *
 * Logs in when asked to (basic, bearer), tries again what may work the next time, and
 * takes a broken transfer up where it ended. Shared by threads, each with its own http.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/image/auth.h"
#include "lib/image/http.h"
#include "lib/oci/image_spec.h"
#include "lib/oci/reference.h"

#define REGISTRY_TRIES  5  /* in a row without a byte of progress */
#define REGISTRY_BREAKS 50 /* broken transfers of one blob in all */

struct registry;

/* credentials (may be NULL): looked at when the registry asks. cancel as in http_config. */
int registry_new(const struct reference *ref, bool plain_http, const struct auth_file *credentials,
                 const atomic_bool *cancel, struct registry **out, struct error *err);
void registry_free(struct registry *r);
DEFINE_CLEANUP(struct registry, registry, registry_free)
#define _cleanup_registry_ _cleanup_(cleanup_registry)

/* A manifest or index by tag or digest, appended to body, and its Content-Type (owned by
 * the caller, may become NULL). Not checked. */
int registry_manifest(struct registry *r, struct http *http, const char *version,
                      struct buffer *body, char **content_type, struct error *err);

/* Every byte of a blob once and in order, at most size + 1 of them. Checking is the
 * receiver's (stage_verify_new). */
int registry_blob(struct registry *r, struct http *http, const struct image_descriptor *blob,
                  http_body_fn fn, void *data, struct error *err);

/* ---- for push.h */

const char *registry_base(const struct registry *r); /* "https://host/v2/repository" */

/* One request, with a login in between when the registry asks for it; nothing is tried again.
 * req's url may lead elsewhere, the authorization does not. 0: an answer of any status. */
int registry_request(struct registry *r, struct http *http, struct http_request *req,
                     struct http_response *resp, struct error *err);
/* After request number `tries` (from 0) failed (not 0: what registry_request() gave), or an answer
 * that asks for patience: 0 after the pause that is due, else the error that stands; -EIO without
 * a text when it is only the answer's status. */
int registry_before_retry(struct registry *r, int failed, const struct http_response *resp,
                          unsigned int tries, struct error *err);
/* The two together, for a request that may be repeated; 0: an answer of any status. */
int registry_send(struct registry *r, struct http *http, struct http_request *req,
                  struct http_response *resp, struct error *err);
/* What is at `path` below the repository ("/manifests/v1") into body, at most IMAGE_MAX_MANIFEST
 * bytes. 0: an answer of any status; body is there when it is 200. */
int registry_get(struct registry *r, struct http *http, const char *path, const char *accept,
                 struct buffer *body, struct http_response *resp, struct error *err);
/* An answer that is none, as an error: "reading", "writing"; "blob". */
int registry_refuse(const struct http_response *resp, const char *doing, const char *what,
                    struct error *err);
