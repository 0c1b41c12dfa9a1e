/* SPDX-License-Identifier: Apache-2.0 */
/* packages: what the guest's programs were made of, for image.json. */
#pragma once

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/guestimg/guestimg.h"
#include "lib/guestimg/locate.h"

/*
 * Fills img->packages: `kernel` (unless its name is NULL), then those of guest/packages.json
 * that the programs contain, sorted by name. guest/bin/PROGRAM.libs says which archives a program
 * was linked with; for one without such a file every package counts.
 */
int packages_fill(struct guestimg *img, const struct locations *where, const struct strv *programs,
                  const struct guestimg_package *kernel, struct error *err);
