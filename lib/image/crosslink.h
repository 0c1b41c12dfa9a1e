/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crosslink: hard links of an archive to files that only the layers below hold.
 *
 * layer.md does not forbid them, and tools that unpack one layer over the other make them work.
 * No two layers can share an inode, so the layer gets a file of its own with the same content,
 * as overlayfs makes one when such a link is written to; links of one layer to the same file
 * share that content. Used by layer.c alone.
 */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/erofs/tree.h"
#include "lib/erofs/writer.h"
#include "lib/image/lower.h"
#include "lib/image/path.h"

#define CROSSLINK_MAX 4096 /* in one layer */

struct crosslinks {
	struct crosslink *list; /* owned */
	size_t n, room;
};

void crosslinks_clear(struct crosslinks *c);
/* Puts an empty file at `path` and remembers what it stands for. -E2BIG beyond the limit. */
int crosslinks_add(struct crosslinks *c, struct erofs_tree *tree, const struct image_path *path,
                   const struct image_path *target, struct erofs_node **out, struct error *err);
/* Gives those that are still in the tree their content. lower: NULL when nothing is below.
 * -ENOENT names a target that is nowhere, -EPERM one that is no regular file. */
int crosslinks_settle(struct crosslinks *c, struct erofs_tree *tree, struct erofs_writer *writer,
                      struct lower *lower, struct error *err);
