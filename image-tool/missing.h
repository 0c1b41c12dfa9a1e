/* SPDX-License-Identifier: Apache-2.0 */
/* missing: everything that a build without the network lacks, told at once. */
#pragma once

#include "image-tool/build.h"
#include "lib/base/error.h"
#include "lib/guestimg/locate.h"

/* files: those of the root that are not there. -ENOENT (kind environment) lists them, the guest's
 * list of packages and the kernel's source, as far as they are not there, and says what brings
 * them. */
int missing_check(const struct strv *files, const struct locations *where,
                  const struct build_options *o, struct error *err);
