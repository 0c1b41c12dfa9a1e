/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote: one repository as a program's command line names it - reference, settings,
 * certificates, connection - ready for registry.h and push.h.
 *
 * For host programs; kihon-pull tries several places and has its own way (pull.h).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/image/http.h"
#include "lib/image/registry.h"
#include "lib/image/settings.h"
#include "lib/oci/reference.h"

/* Of a verb's data. Release with remote_options_free(). */
struct remote_options {
	const char *config, *ca, *authfile;
	bool no_system_ca;
	struct strv plain_http;
	atomic_uint_fast64_t *uploaded; /* of http_config; no option, may be NULL */
};

/* Rows of the verb's option table, the same words as kihon-pull's; `member` is its struct
 * remote_options. */
#define REMOTE_OPTION_ROWS(type, member)                                                           \
	{"authfile",                                                                               \
	 0,                                                                                        \
	 OPTION_STRING,                                                                            \
	 offsetof(type, member.authfile),                                                          \
	 "FILE",                                                                                   \
	 NULL,                                                                                     \
	 "Credentials, as {\"auths\":{\"HOST\":{\"auth\":BASE64}}}."},                             \
	    {"ca",                                                                                 \
	     0,                                                                                    \
	     OPTION_STRING,                                                                        \
	     offsetof(type, member.ca),                                                            \
	     "FILE",                                                                               \
	     NULL,                                                                                 \
	     "Certificates (PEM) to trust in addition."},                                          \
	    {"no-system-ca",                                                                       \
	     0,                                                                                    \
	     OPTION_FLAG,                                                                          \
	     offsetof(type, member.no_system_ca),                                                  \
	     NULL,                                                                                 \
	     NULL,                                                                                 \
	     "Do not trust the certificates of this system."},                                     \
	    {"plain-http",                                                                         \
	     0,                                                                                    \
	     OPTION_LIST,                                                                          \
	     offsetof(type, member.plain_http),                                                    \
	     "HOST",                                                                               \
	     NULL,                                                                                 \
	     "Speak HTTP without TLS to HOST[:PORT]."},                                            \
	{                                                                                          \
		"config", 0, OPTION_STRING, offsetof(type, member.config), "DIR", NULL,            \
		    "Folder with cdh.toml and auth.json: certificates, proxy, registries."         \
	}

static inline void remote_options_free(struct remote_options *o)
{
	strv_free(&o->plain_http);
}

struct remote {
	struct reference ref; /* where it really is, by registries.conf */
	struct settings settings;
	struct trust *trust;
	struct http_config http_config; /* for further connections (http_new) of other threads */
	struct http *http;
	struct registry *registry;
};

/* A reference must name its host: nothing is pushed to docker.io by accident. `cancel` (may be
 * NULL) ends transfers with -ECANCELED. Nothing is sent yet. *out must stay where it is. */
int remote_open(struct remote *out, const char *reference, const struct remote_options *o,
                const atomic_bool *cancel, struct error *err);
void remote_close(struct remote *r); /* of a zeroed one, too */
#define _cleanup_remote_ _cleanup_(remote_close)
