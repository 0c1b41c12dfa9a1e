/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth: who to be at a registry - auth.json, the challenges of a 401, and tokens.
 *
 * auth.json is {"auths":{"KEY":{"auth":base64("user:password")}}}. The key that fits
 * best counts: HOST/REPOSITORY, then its parents, then the host; keys may have a scheme
 * and, as a last resort, a path that means nothing ("https://index.docker.io/v1/").
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/oci/reference.h"

#define AUTH_MAX_FILE  (1024 * 1024)
#define AUTH_MAX_TOKEN 65536

struct auth_file;

int auth_file_parse(const char *json, size_t size, struct auth_file **out, struct error *err);
void auth_file_free(struct auth_file *f);
DEFINE_CLEANUP(struct auth_file, auth_file, auth_file_free)
#define _cleanup_auth_file_ _cleanup_(cleanup_auth_file)

/* The value of an Authorization header ("Basic ...") for the image, appended to out. 1:
 * the file (which may be NULL) has nothing for it. */
int auth_file_find(const struct auth_file *f, const struct reference *ref, struct buffer *out,
                   struct error *err);

/* Wipes and frees a secret. */
void auth_wipe(struct buffer *secret);
#define _cleanup_secret_ __attribute__((cleanup(auth_wipe)))

struct auth_challenge {
	bool basic, bearer;
	char realm[1024], service[256], scope[512]; /* of the bearer scheme, "" when absent */
};

/* The values of all WWW-Authenticate headers, joined by commas (RFC 9110 section 11.6.1).
 * -EPROTO: neither Basic nor Bearer among them. */
int auth_challenge_parse(const char *headers, struct auth_challenge *out, struct error *err);

/* The address that gives a token: the realm with service and scope as parameters. */
int auth_token_url(const struct auth_challenge *c, const char *repository, struct buffer *out,
                   struct error *err);
/* The token in a token server's answer, as "Bearer ...". */
int auth_token_parse(const char *json, size_t size, struct buffer *out, struct error *err);
