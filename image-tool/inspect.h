/* SPDX-License-Identifier: Apache-2.0 */
/* inspect: what the pieces of the verb `inspect` say, into one report. */
#pragma once

#include "image-tool/probe.h"
#include "image-tool/report.h"
#include "lib/base/error.h"
#include "lib/image/remote.h"

struct inspect_options {
	bool json, files;
	const char *platform; /* of an OCI image; NULL: this machine's */
	struct remote_options remote;
};

/* A file, or a range of one: type, partitions, file system; each file in it when asked for. */
int inspect_place(struct report *r, const struct place *place, bool files, struct error *err);

/* What lib/image/oci_source.h can read: an OCI layout, an archive, a registry's image. */
int inspect_oci(struct report *r, const char *name, const struct inspect_options *o,
                struct error *err);
