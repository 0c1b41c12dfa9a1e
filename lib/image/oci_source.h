/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_source: an image (or another artifact) to read, wherever it is:
 *
 *	DIR, DIR:TAG, oci:DIR[:TAG]             an OCI image layout (image-layout.md)
 *	FILE, oci-archive:FILE[:TAG]            a tar of a layout, or of a layout's parts; .tar,
 *	                                        .tar.gz, .tar.zst
 *	FILE, docker-archive:FILE[:NAME[:TAG]]  what "docker save" writes
 *	HOST/REPOSITORY[:TAG][@DIGEST], docker://...   a registry
 *
 * A name without a prefix is what exists: a folder, a file, else a registry's. A TAG is the
 * org.opencontainers.image.ref.name of an entry of index.json; it may be left out when there is
 * one image only, and may be a digest.
 *
 * Nothing that comes out is unchecked: manifests, configs and blobs have the digest and the size
 * of the descriptor that led to them when the call returns 0. Names in archives are looked up,
 * never written to; links in layouts are not followed out of them.
 *
 * Errors: -ENOENT nothing of that name (kind input), -EINVAL what it is not or broken JSON (kind
 * input), -EBADMSG, -EFBIG a digest or a size that does not hold (kind verification), -ECANCELED,
 * those of registry.h.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/image/remote.h"
#include "lib/image/tar.h"
#include "lib/oci/image_spec.h"

struct oci_source;

/* remote (may be NULL: no registry is asked) and cancel (may be NULL) must outlive it. A
 * compressed archive is unpacked into an unnamed file in $TMPDIR (/var/tmp). */
int oci_source_open(const char *name, const struct remote_options *remote,
                    const atomic_bool *cancel, struct oci_source **out, struct error *err);
void oci_source_close(struct oci_source *s);
DEFINE_CLEANUP(struct oci_source, oci_source, oci_source_close)
#define _cleanup_oci_source_ _cleanup_(cleanup_oci_source)

/* "oci", "oci-archive", "docker-archive" or "docker". */
const char *oci_source_kind(const struct oci_source *s);
/* The reference of a registry's image ("HOST/REPOSITORY:TAG"), else the TAG that was given or
 * that the chosen entry has (after oci_source_manifest()); NULL when there is none. */
const char *oci_source_tag(const struct oci_source *s);

/* The manifest, by way of indexes when there are some, exactly as stored. platform NULL: this
 * machine's where there is a choice, the only one where there is none. May be of an artifact
 * that is no container image (image_manifest_parse() refuses those). */
int oci_source_manifest(struct oci_source *s, const struct image_platform *platform,
                        struct image_descriptor *desc, struct buffer *json, struct error *err);

/* A container image: its manifest and its config, with as many diff_ids as layers. */
struct oci_image {
	struct image_descriptor desc; /* of the manifest */
	struct buffer manifest_json;
	struct buffer config_json;
	struct image_manifest manifest;
	struct image_config config;
};
int oci_source_image(struct oci_source *s, const struct image_platform *platform,
                     struct oci_image *out, struct error *err);
void oci_image_clear(struct oci_image *image);
#define _cleanup_oci_image_ _cleanup_(oci_image_clear)

/* Every byte of a blob once and in order; what has come is only known to be right when 0 is
 * returned. May be called by several threads at a time. */
int oci_source_blob(struct oci_source *s, const struct image_descriptor *desc, http_body_fn fn,
                    void *data, struct error *err);
/* A blob of at most `max` bytes, appended to out; `what` names it in errors. */
int oci_source_bytes(struct oci_source *s, const struct image_descriptor *desc, size_t max,
                     const char *what, struct buffer *out, struct error *err);

/* A tar layer, unpacked: blob -> verify -> inflate -> verify (diff_id may be NULL) -> sink. A
 * layer that is no tar, or encrypted, is -EINVAL or -EOPNOTSUPP. Several threads at a time. */
int oci_source_layer(struct oci_source *s, const struct image_descriptor *desc,
                     const struct digest *diff_id, const struct tar_sink *sink, void *data,
                     const struct tar_limits *limits, struct error *err);
