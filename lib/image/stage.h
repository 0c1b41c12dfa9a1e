/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage: a layer's way from the wire to the store is a chain of stages, each of which
 * takes bytes, does one thing and hands bytes on:
 *
 *	verify the blob -> inflate -> verify the diff_id -> tar
 *
 * A stage owns the one after it. What one needs in addition (decryption, say) is a
 * further stage in the chain.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/image/tar.h"
#include "lib/oci/digest.h"
#include "lib/oci/image_spec.h"

struct stage;

struct stage_ops {
	int (*feed)(struct stage *s, const uint8_t *p, size_t n, struct error *err);
	/* No more bytes: what is wrong with the whole is found here. */
	int (*end)(struct stage *s, struct error *err);
	void (*free)(struct stage *s);
};

struct stage {
	const struct stage_ops *ops;
	struct stage *next; /* NULL in the last */
};

int stage_feed(struct stage *s, const uint8_t *p, size_t n, struct error *err);
/* Ends this stage and all after it, the first ones first. */
int stage_end(struct stage *s, struct error *err);
void stage_free(struct stage *s); /* and all after it */
DEFINE_CLEANUP(struct stage, stage, stage_free)
#define _cleanup_stage_ _cleanup_(cleanup_stage)

/* All of these take *next over when they succeed, and leave it alone when not. */

/* Hands on what comes and hashes it; at the end the digest must be `want` and, with
 * `exact`, the size too (-EBADMSG, kind verification). Never hands on more than `size`
 * bytes (-EFBIG). `what` names it in errors and is kept. */
int stage_verify_new(const struct digest *want, uint64_t size, bool exact, const char *what,
                     struct stage **next, struct stage **out, struct error *err);
int stage_inflate_new(enum image_compression how, struct stage **next, struct stage **out,
                      struct error *err);
/* The last one. The sink's data must outlive it. */
int stage_tar_new(const struct tar_sink *sink, void *data, const struct tar_limits *limits,
                  struct stage **out, struct error *err);
