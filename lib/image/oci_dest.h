/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_dest: where an image is written to, whole or not at all:
 *
 *	DIR, DIR:TAG, oci:DIR[:TAG]        an OCI image layout, made, or added to when it is one;
 *	                                   an image of the same tag is replaced in its index
 *	FILE.tar, oci-archive:FILE[:TAG]   a tar of a layout, replaced
 *	HOST/REPOSITORY[:TAG], docker://   a registry
 *
 * A name without a prefix is a folder when it begins with '/' or '.', when the folder that it is
 * in exists, or when it does not begin with a host; else a registry's image.
 *
 * Blobs are made in a hidden folder beside what they will be part of (for a registry: in $TMPDIR,
 * or /var/tmp) and get their names when all is there. Errors are of kind environment but for
 * names and what exists already (input), and those of push.h.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/image/remote.h"
#include "lib/oci/image_spec.h"

struct oci_dest;

/* remote and cancel as for oci_source_open(). */
int oci_dest_open(const char *name, const struct remote_options *remote, const atomic_bool *cancel,
                  struct oci_dest **out, struct error *err);
/* Removes what was not committed. */
void oci_dest_close(struct oci_dest *d);
DEFINE_CLEANUP(struct oci_dest, oci_dest, oci_dest_close)
#define _cleanup_oci_dest_ _cleanup_(cleanup_oci_dest)

/* "HOST/REPOSITORY" of a registry's, else NULL. */
const char *oci_dest_repository(const struct oci_dest *d);
bool oci_dest_is_folder(const struct oci_dest *d);
/* As given in the name; NULL when none was. */
const char *oci_dest_tag(const struct oci_dest *d);

/* A file that becomes a blob, or vanishes with the destination: read and write it through fd,
 * which oci_blob_done() closes. Several threads may make blobs at a time. */
struct oci_blob {
	int fd; /* -1 when not open */
	char name[32];
};
#define OCI_BLOB_INIT                                                                              \
	{                                                                                          \
		-1, ""                                                                             \
	}
int oci_blob_new(struct oci_dest *d, struct oci_blob *b, struct error *err);
int oci_blob_done(struct oci_dest *d, struct oci_blob *b, const struct digest *digest,
                  uint64_t size, struct error *err);
/* Closes the file and keeps it; oci_blob_open() opens it again. */
void oci_blob_keep(struct oci_blob *b);
int oci_blob_open(struct oci_dest *d, struct oci_blob *b, struct error *err);
/* Its path, fresh memory; NULL without. */
char *oci_blob_path(const struct oci_dest *d, const struct oci_blob *b);
/* The hidden folder, whose files are the blobs in work. */
char *oci_dest_stage(struct oci_dest *d);

/* A blob of bytes in memory; desc: its media type is set already, digest and size by this. */
int oci_dest_bytes(struct oci_dest *d, const void *data, size_t size, struct image_descriptor *desc,
                   struct error *err);

/* A manifest, under a tag. `platform_json` (may be NULL) is the platform of its entry in
 * index.json. desc as for oci_dest_bytes(). */
int oci_dest_manifest(struct oci_dest *d, const char *tag, const void *json, size_t size,
                      const char *platform_json, struct image_descriptor *desc, struct error *err);

/* A file of a layout's folder besides the image ("signatures/x"). -EOPNOTSUPP: it is no folder. */
int oci_dest_file(struct oci_dest *d, const char *path, const void *data, size_t size,
                  struct error *err);

/* Puts all into its place. Call once. */
int oci_dest_commit(struct oci_dest *d, struct error *err);
