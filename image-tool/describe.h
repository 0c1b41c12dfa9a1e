/* SPDX-License-Identifier: Apache-2.0 */
/* describe: what image.json says of every image alike. */
#pragma once

#include <stdint.h>

#include "image-tool/stage.h"
#include "lib/base/error.h"
#include "lib/guestimg/guestimg.h"

/* SOURCE_DATE_EPOCH (reproducible-builds.org); without it *out stays. -EINVAL (kind usage). */
int describe_date(int64_t *out, struct error *err);
/* Versions, time, and digests of `names` (n of them; NULL is left out) in the stage. */
int describe_image(struct guestimg *img, struct stage *stage, int64_t mtime,
                   const char *const *names, size_t n, struct error *err);
