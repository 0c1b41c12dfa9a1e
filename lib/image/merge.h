/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge: what a layer means can only be said at its end, with the layers below at
 * hand: whiteouts, opaque directories, and parents that the archive did not carry.
 * Used by layer.c and crosslink.c.
 */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/erofs/tree.h"
#include "lib/image/lower.h"

struct merge {
	struct erofs_tree *tree; /* owned */
	struct strv whiteouts;   /* paths that the layers below lose */
	struct strv opaque;      /* directories that hide all that is below them */
};

void merge_clear(struct merge *m);
/* Puts whiteouts and opaque marks into the tree; *needs_lower: it has directories whose
 * attributes the archive does not say. */
int merge_marks(struct merge *m, bool *needs_lower, struct error *err);
/* Gives those what the layers below show. */
int merge_parents(struct merge *m, struct lower *lower, struct error *err);
/* The same for the root itself. */
int merge_root(struct merge *m, struct lower *lower, struct error *err);
/* Adds the xattrs of a file below to a node's, but overlayfs's own. */
int merge_copy_xattrs(struct erofs_tree *tree, struct erofs_node *node, struct erofs_image *image,
                      const struct erofs_stat *st, struct error *err);
