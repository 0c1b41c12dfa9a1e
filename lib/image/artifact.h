/* SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact: a folder of files as an OCI artifact (image-spec 1.1 manifest.md, "Guidelines for
 * Artifact Usage"): an image manifest with an artifactType, an empty config, and a layer a
 * file, as it is, whose annotation org.opencontainers.image.title is the file's name.
 *
 * Reading is strict about what is used, ignores the rest, and takes what others have made in
 * this way. What is read points into the struct's arena.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/oci/digest.h"
#include "lib/oci/image_spec.h"

#define ARTIFACT_MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define ARTIFACT_MAX_FILES     256

struct artifact_file {
	const char *name; /* a file name: no '/', not "." or "..", no control characters */
	const char *media_type;
	struct digest digest;
	uint64_t size;
};

struct artifact_annotation {
	const char *key, *value;
};

struct artifact {
	const char *type; /* artifactType; in older artifacts the config's media type */
	struct artifact_file *files;
	size_t n_files;
	/* Not read. */
	const struct image_descriptor *subject; /* what it refers to; NULL: nothing */
	const struct artifact_annotation *annotations;
	size_t n_annotations;

	struct arena arena;
};

/* -EINVAL (kind input) and a line that says what is wrong with the manifest. */
int artifact_parse(const void *json, size_t size, struct artifact *out, struct error *err);
void artifact_clear(struct artifact *a);
#define _cleanup_artifact_ __attribute__((cleanup(artifact_clear)))

/* The manifest, same input same bytes. */
void artifact_format(const struct artifact *a, struct buffer *out);

/* NULL when there is none of that name. */
const struct artifact_file *artifact_find(const struct artifact *a, const char *name);
