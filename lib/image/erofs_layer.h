/* SPDX-License-Identifier: Apache-2.0 */
/*
 * erofs_layer: layers that are EROFS images already, as `kata-image-tool convert` makes them.
 *
 * They are stored as they come. Before one is mounted all of its structure is looked at, and what
 * overlayfs would take for its own: whiteouts and opaque directories are what a layer may have,
 * but not redirections and the like, which lead elsewhere in the mount.
 */
#pragma once

#include <stdint.h>

#include "lib/base/error.h"
#include "lib/image/stage.h"

/* The last stage: bytes go to a file, from its beginning. out_fd stays the caller's. */
int stage_file_new(int out_fd, struct stage **out, struct error *err);

/* -EUCLEAN (kind input) a damaged image, -EINVAL one that says what a layer may not, -EFBIG one
 * whose files have more than max_size bytes together (they may share what they have). A hash tree
 * may follow the image. */
int erofs_layer_check(int fd, uint64_t max_size, struct error *err);
