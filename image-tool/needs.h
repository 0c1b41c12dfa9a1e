/* SPDX-License-Identifier: Apache-2.0 */
/* needs: whether a kernel can mount or unpack the root that was made for it. */
#pragma once

#include "image-tool/root.h"
#include "image-tool/stage.h"
#include "lib/base/error.h"
#include "lib/guestimg/guestimg.h"

/* Looks into the kernel.config of the stage; a kernel without one is taken at its word. -EINVAL
 * (kind input) names the symbol that is not set. */
int needs_check(const struct guestimg *img, const struct root_plan *plan, struct stage *stage,
                struct error *err);
