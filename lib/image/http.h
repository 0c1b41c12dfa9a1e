/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http: requests over TLS (libcurl), one connection at a time, kept between requests.
 *
 * Redirects are followed here, at most HTTP_REDIRECTS, so that the Authorization header
 * goes to the host it is meant for and to no other, and https never becomes http.
 * The body of a 200 or 206 goes to a function as it arrives, any other is kept (cut)
 * for the message. Nothing is retried.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/image/trust.h"

#define HTTP_REDIRECTS  5
#define HTTP_ERROR_BODY 16384

struct http_config {
	const struct trust *trust;            /* nobody else; must outlive every struct http */
	const char *https_proxy, *http_proxy; /* NULL: as the environment says */
	const char *no_proxy;
	const atomic_bool *cancel; /* ends a transfer with -ECANCELED */
	/* Where in its file (offset and bytes sent) the body that is being sent has got to; NULL.
	 */
	atomic_uint_fast64_t *uploaded;
};

/* Once a process, before any thread. */
int http_init(struct error *err);

struct http;
/* The config's strings must outlive it. For one thread at a time. */
int http_new(const struct http_config *config, struct http **out, struct error *err);
void http_free(struct http *h);
DEFINE_CLEANUP(struct http, http, http_free)
#define _cleanup_http_ _cleanup_(cleanup_http)

/* What a request sends: size bytes of memory, or of a file from an offset on. It may be read
 * several times, after a login or a redirection. */
struct http_source {
	const void *data; /* NULL: from fd */
	int fd;
	uint64_t offset;
	uint64_t size;
};

typedef int (*http_body_fn)(void *data, const uint8_t *p, size_t n, struct error *err);

struct http_request {
	const char *url;
	const char *method;        /* NULL: GET; HEAD, POST, PUT, PATCH */
	bool allow_http;           /* plain http:// is meant */
	const char *accept;        /* may be NULL */
	const char *authorization; /* "Bearer ...", may be NULL; never logged */
	/* Not 0: only the bytes from here on, with a Range header. A server that sends all
	 * nevertheless is put up with; one that begins elsewhere is -EPROTO. */
	uint64_t offset;
	http_body_fn body; /* NULL: a body is not wanted */
	void *data;
	/* POST, PUT and PATCH: what is sent. */
	const struct http_source *send; /* NULL: nothing */
	const char *content_type;       /* of it */
	const char *content_range;      /* may be NULL */
	/* "https://host:port": the authorization is for that origin only; NULL: for the url's. */
	const char *authorized_origin;
};

struct http_response {
	long status;
	char *content_type;      /* owned, NULL when absent */
	char *digest;            /* Docker-Content-Digest */
	char *location;          /* absolute, NULL when absent */
	char *range;             /* Range: what an upload has got so far */
	char *subject;           /* OCI-Subject */
	uint64_t chunk_min;      /* OCI-Chunk-Min-Length, 0 when absent */
	struct buffer challenge; /* all WWW-Authenticate headers, joined by ", " */
	uint64_t retry_after;    /* seconds, 0 when absent */
	bool resumable;          /* after an error: the transfer broke, another try may do */
	struct buffer error_body;
};

void http_response_clear(struct http_response *r);
#define _cleanup_http_response_ _cleanup_(http_response_clear)

/* 0: there is a response (of any status). Errors: the body function's, -ECANCELED,
 * -EBADMSG a certificate that does not hold, -ELOOP, -EPROTO, -ECONNREFUSED, -EIO ... */
int http_send(struct http *h, const struct http_request *req, struct http_response *resp,
              struct error *err);

/* The address with a parameter more (name=value, escaped here); owned by the caller. */
int http_add_query(const char *url, const char *name, const char *value, char **out,
                   struct error *err);

/* Appends s with everything but unreserved characters as %XX (RFC 3986). */
void http_escape(struct buffer *out, const char *s);
/* "https://host:port" of an address into buf, for messages and comparison. */
int http_origin(const char *url, char *buf, size_t size, struct error *err);
