/* SPDX-License-Identifier: Apache-2.0 */
/* verify: the pieces of the verb `verify`. */
#pragma once

#include "image-tool/report.h"
#include "lib/base/error.h"
#include "lib/guestimg/guestimg.h"

/* The root file system by itself, its hash tree, and that both are what image.json says. What does
 * not hold is of kind verification; what this cannot look into, of kind input. */
int verify_root(int dirfd, const struct guestimg *img, struct report *r, struct error *err);
