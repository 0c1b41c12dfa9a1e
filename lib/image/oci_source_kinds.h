/* SPDX-License-Identifier: Apache-2.0 */
/* oci_source_kinds: what the places that an image may be in have in common. Private to
 * oci_source*.c. */
#pragma once

#include "lib/image/oci_files.h"
#include "lib/image/oci_source.h"

struct oci_source_ops {
	const char *kind;
	/* What the name stands for: a manifest or an index, checked. 1: `desc` is set only, the
	 * document is to be read through it. */
	int (*top)(struct oci_source *s, const struct image_platform *platform,
	           struct image_descriptor *desc, struct buffer *json, struct error *err);
	/* A manifest or index by descriptor, appended, unchecked. */
	int (*document)(struct oci_source *s, const struct image_descriptor *desc,
	                struct buffer *json, struct error *err);
	/* A blob's bytes, unchecked but not more than desc->size + 1. */
	int (*blob)(struct oci_source *s, const struct image_descriptor *desc, http_body_fn fn,
	            void *data, struct error *err);
	void (*close)(struct oci_source *s);
};

extern const struct oci_source_ops oci_source_layout, oci_source_layout_archive,
    oci_source_docker_archive, oci_source_registry;

struct oci_source {
	const struct oci_source_ops *ops;
	const atomic_bool *cancel;
	char *path; /* of the folder or file; owned */
	char *tag;  /* as given, or found; owned, may be NULL */
	struct oci_files *files;
	void *own; /* the ops' own */
};

/* The entry of an index for a platform (NULL: see oci_source.h); tag NULL: any. */
struct image_index_entry;
struct image_index;
int oci_source_choose(const struct image_index *index, const char *tag,
                      const struct image_platform *platform, const struct image_index_entry **out,
                      struct error *err);

/* A blob's file as the ops' blob gives it. */
int oci_source_read_range(const struct oci_source *s, const struct oci_range *range,
                          const struct image_descriptor *desc, http_body_fn fn, void *data,
                          struct error *err);

int oci_source_open_registry(struct oci_source *s, const char *reference,
                             const struct remote_options *remote, struct error *err);
int oci_source_open_docker(struct oci_source *s, struct error *err);
