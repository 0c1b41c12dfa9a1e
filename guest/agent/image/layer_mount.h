/* SPDX-License-Identifier: Apache-2.0 */
/* layer_mount: mounting EROFS files and stacking them; for helpers, since it may block. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/error.h"

/* Opens a layer's file below `store` (links do not lead out), checks that it is a regular file of
 * that size and of `owner`, and takes it from its owner: nobody can change it after. */
int layer_open(const char *store, const char *file, uint64_t size, uid_t owner, struct error *err);

/* Mounts the EROFS image in fd read-only on target: straight from the file where the kernel and
 * the file's file system can, else through a loop device that goes with the mount. */
int layer_mount(int fd, const char *target, struct error *err);

/* Overlays directories of `base`, named by numbers, lowest first, with upper and work (made here;
 * NULL: read-only). Relative names: the options of mount(2) must fit into a page. */
int layer_overlay(const char *base, const unsigned int *numbers, size_t n, const char *upper,
                  const char *work, const char *target, struct error *err);
