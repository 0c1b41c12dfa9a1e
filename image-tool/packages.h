/* SPDX-License-Identifier: Apache-2.0 */
/* packages: what the guest's programs were made of, for image.json. */
#pragma once

#include "image-tool/lock.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/guestimg/guestimg.h"
#include "lib/guestimg/locate.h"

/*
 * Fills img->packages: `kernel` (unless its name is NULL), then those of guest/packages.json
 * that `parts` of the guest (bin/kihon-agent, share/ca-certificates.crt) are made of, sorted by
 * name. guest/bin/PROGRAM.libs says which archives a program has code from; with a program that
 * has no such file every package counts.
 */
int packages_fill(struct guestimg *img, const struct locations *where, const struct strv *parts,
                  const struct guestimg_package *kernel, struct error *err);

/* Pins how each library of the image was built (lock.h, package-build). */
int packages_pin_builds(struct lock *lock, const struct guestimg *img,
                        const struct locations *where, struct error *err);
