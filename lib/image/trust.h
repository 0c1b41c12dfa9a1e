/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trust: the certificates that a registry's may be signed by, decoded when they are asked for.
 *
 * A system's bundle has some 140 of them. Decoding all of them takes OpenSSL 3.0 longer than
 * the rest of a TLS connection, and libcurl would do it anew for each connection; one or two
 * are needed. So here is only a list of subjects; OpenSSL asks for the one that it looks for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <openssl/types.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

struct trust;

/* From PEM text, which may be freed afterwards; other kinds of PEM are passed over. Nothing in
 * it is nobody trusted. -EBADMSG (ERROR_INPUT) when a certificate is damaged. */
int trust_new(const char *pem, size_t size, struct trust **out, struct error *err);
/* When nothing that it was installed in lives any more. */
void trust_free(struct trust *t);
DEFINE_CLEANUP(struct trust, trust, trust_free)
#define _cleanup_trust_ _cleanup_(cleanup_trust)

bool trust_empty(const struct trust *t);

/* The store finds its certificates in t from now on, for which t stays as it is: several
 * threads may have stores of their own. -ENOMEM. */
int trust_install(const struct trust *t, X509_STORE *store);
