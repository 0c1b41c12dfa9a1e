/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower: what the layers below one show together, as overlayfs would: the topmost
 * entry wins, whiteouts and opaque directories hide what is below them.
 */
#pragma once

#include <stddef.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/erofs/reader.h"

struct lower;

/* files: the layers' EROFS files, lowest first; n may be 0. */
int lower_open(const char *const *files, size_t n, struct lower **out, struct error *err);
void lower_close(struct lower *l);
DEFINE_CLEANUP(struct lower, lower, lower_close)
#define _cleanup_lower_ _cleanup_(cleanup_lower)

/* 0 and the entry, with the image that it is in; 1 when nothing shows there. Symbolic
 * links are not followed. The root ("") is there as soon as there is a layer. */
int lower_find(struct lower *l, const char *path, size_t len, struct erofs_stat *st,
               struct erofs_image **image, struct error *err);

/* The target of a symbolic link, NUL-terminated; `room` bytes must hold it. */
int lower_target(struct erofs_image *image, const struct erofs_stat *st, char *out, size_t room,
                 struct error *err);
