/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pull: one image from its registry into the store.
 *
 *	reference -> places to try -> policy -> manifest (digest known) -> config ->
 *	layers, several at a time: fetch, verify, inflate, verify, store
 *
 * All digests are checked on the bytes as they came; a layer appears in the store when
 * its own hold. Memory: the names and attributes of the layers in work, and a buffer.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/image/settings.h"
#include "lib/image/store.h"
#include "lib/image/tar.h"
#include "lib/oci/image_spec.h"

/* What a pull is doing; calls come one at a time, from any thread. */
struct pull_progress {
	size_t layer, n_layers;
	const struct digest *digest; /* of the blob */
	uint64_t done, total;        /* bytes of the blob */
	bool reused;                 /* it was in the store */
	bool finished;
};

struct pull_options {
	const char *reference;
	const struct settings *settings;
	struct store *store;
	const struct strv *plain_http; /* hosts that are spoken to without TLS */
	struct image_platform platform;
	struct tar_limits limits; /* of each layer */
	atomic_bool *stop;        /* set by the caller to interrupt, by the pull to end */
	void (*progress)(void *data, const struct pull_progress *p); /* may be NULL */
	void *progress_data;
};

struct pull_layer {
	struct digest diff_id;
	char *file; /* owned, absolute */
	uint64_t size;
};

struct pull_result {
	struct digest manifest;    /* of the image's manifest, also when an index led to it */
	struct pull_layer *layers; /* lowest first; one that occurs twice only where it counts,
	                              at its topmost place: overlayfs takes none twice */
	size_t n_layers;
	struct image_config config;
};

int pull_image(const struct pull_options *o, struct pull_result *out, struct error *err);
void pull_result_clear(struct pull_result *r);
#define _cleanup_pull_result_ _cleanup_(pull_result_clear)
