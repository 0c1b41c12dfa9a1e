/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reference: the name of an image, [HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST].
 *
 * The first component is a host when it holds '.' or ':' or is "localhost" (or has
 * upper-case letters, which a repository cannot have). Without a host the image is
 * docker.io's, and a single name there is below "library/". The tag is "latest" when
 * neither tag nor digest is given; with both, the digest decides.
 */
#pragma once

#include <stdbool.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/oci/digest.h"

#define REFERENCE_MAX 512 /* bytes of the whole text */

struct reference {
	char host[256];       /* "docker.io", "127.0.0.1:5000", "[::1]:5000" */
	char repository[256]; /* "library/busybox" */
	char tag[129];        /* "" when only a digest was given */
	struct digest digest; /* text "" when none was given */
	bool host_given;      /* a host stood in the text */
};

/* -EINVAL with a line that says which part is wrong. */
int reference_parse(const char *text, struct reference *out, struct error *err);

/* As name@digest or name:tag, the form that messages and policies use. */
#define REFERENCE_TEXT_MAX 800
const char *reference_text(const struct reference *ref, char buf[REFERENCE_TEXT_MAX]);
/* What follows /manifests/ in a registry's address: the digest, or the tag. */
const char *reference_version(const struct reference *ref);
/* The host that serves the registry protocol: docker.io is served by another. */
const char *reference_server(const struct reference *ref);
/* docker.io goes by several names; all give "docker.io". */
const char *reference_canonical_host(const char *host);
