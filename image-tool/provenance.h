/* SPDX-License-Identifier: Apache-2.0 */
/*
 * provenance: how an image came to be, as an in-toto statement (Statement v1) whose predicate is
 * SLSA provenance v1: the parameters of the build, what it was made from, who made it.
 *
 * It says what image.json says, and is not signed: whoever signs it vouches for it.
 */
#pragma once

#include "lib/base/bytes.h"
#include "lib/guestimg/guestimg.h"
#include "lib/oci/digest.h"

#define PROVENANCE_TYPE "https://slsa.dev/provenance/v1"
/* Who built it, unless the caller knows better. */
#define PROVENANCE_BUILDER "pkg:generic/kihon/kata-image-tool"

/* Subjects are the files of the image and, by the image's name, the manifest. lock: SHA-256 of
 * image.lock, which pins every input; NULL: there is none. The same input gives the same bytes. */
void provenance_format(const struct guestimg *img, const struct digest *manifest,
                       const struct digest *lock, const char *builder, struct buffer *out);
