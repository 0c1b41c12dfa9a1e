/* SPDX-License-Identifier: Apache-2.0 */
/* extra_tar: an archive's members into a tree. See extra.h for what is refused. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/erofs/tree.h"

/* Reads fd (tar, or tar in gzip or zstd) to its end. Content is put into `spool`, an empty file,
 * and *map is a mapping of it that the tree points into: the caller's to unmap, NULL when there is
 * none. */
int extra_tar_add(struct erofs_tree *tree, int fd, int spool, int64_t mtime, void **map,
                  size_t *map_size, char sha256[65], struct error *err);
