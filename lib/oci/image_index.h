/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_index: the entries of an image index (image-spec image-index.md), index.json of a layout
 * among them, read strictly and with limits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/oci/image_spec.h"

#define IMAGE_MAX_INDEX_ENTRIES 4096

struct image_index_entry {
	struct image_descriptor desc;
	enum image_media_kind kind; /* IMAGE_MEDIA_INDEX, IMAGE_MEDIA_MANIFEST */
	bool has_platform;
	struct image_platform platform;
	char *ref_name; /* org.opencontainers.image.ref.name, NULL when absent; owned */
};

struct image_index {
	struct image_index_entry *entries;
	size_t n;
};

/* Entries of media types that are neither manifest nor index are left out, as the specification
 * asks. `what` names the document in errors ("index.json"). */
int image_index_parse(const void *json, size_t size, const char *what, struct image_index *out,
                      struct error *err);
void image_index_clear(struct image_index *index);
#define _cleanup_image_index_ _cleanup_(image_index_clear)

/* Whether a name is one that entries may have (annotations.md, grammar of ref): others' tools
 * refuse what is not. */
bool image_ref_name_ok(const char *name);

/* How well an entry fits: 0 not, 2 exactly; 1 for a variant that was not asked for, or for an
 * entry without platform. */
int image_index_fit(const struct image_index_entry *e, const struct image_platform *want);
