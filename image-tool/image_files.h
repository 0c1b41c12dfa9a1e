/* SPDX-License-Identifier: Apache-2.0 */
/* image_files: whether the files of an image are those that its image.json names. */
#pragma once

#include "lib/base/error.h"
#include "lib/guestimg/guestimg.h"

/* Sizes and SHA-256 digests of all files in the folder. -EBADMSG (kind verification) names the
 * first that differs; -EINTR when a signal came. */
int image_files_check(int dirfd, const struct guestimg *img, struct error *err);
