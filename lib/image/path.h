/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path: names out of archives, made into paths below a root that they cannot leave.
 * No file system is asked: "..", "/" and the targets of symbolic links are worked out
 * on the text.
 */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"
#include "lib/erofs/tree.h"

#define PATH_ROOM (EROFS_PATH_MAX + 1)

struct image_path {
	char text[PATH_ROOM]; /* "a/b/c" without leading or double slashes; "" is the root */
	size_t len;
};

/* Adds a further path to one, component by component: ".." at the root stays there.
 * -ENAMETOOLONG beyond what Linux can open. */
int image_path_add(struct image_path *p, const char *text, struct error *err);
/* The same, from the root. */
int image_path_set(struct image_path *p, const char *text, struct error *err);
/* Drops the last component; no-op at the root. */
void image_path_up(struct image_path *p);
/* The last component ("" of the root). */
const char *image_path_name(const struct image_path *p);

/* Follows the symbolic links of the tree in all components but the last, as openat2
 * does with RESOLVE_IN_ROOT. What the tree lacks is taken as directories. -ELOOP after
 * 40 links. */
int image_path_resolve(struct erofs_tree *tree, struct image_path *p, struct error *err);
