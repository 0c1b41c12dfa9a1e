/* SPDX-License-Identifier: Apache-2.0 */
/* oci_dest_index: entries put into the index.json of a layout. Used by oci_dest.c alone. */
#pragma once

#include <stddef.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/oci/image_spec.h"

struct dest_manifest {
	char *tag;           /* owned; NULL: none */
	char *platform_json; /* owned; may be NULL */
	struct image_descriptor desc;
	struct buffer json;
};

/* `old` (size 0: there is none) with the manifests added, each in the place of one with its tag;
 * what else is in it stays. */
int dest_index(const struct buffer *old, const struct dest_manifest *list, size_t n,
               struct buffer *out, struct error *err);
