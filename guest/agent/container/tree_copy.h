/* SPDX-License-Identifier: Apache-2.0 */
/* tree_copy: the contents of one directory into another, for the tmpcopyup option. */
#pragma once

#include "lib/base/error.h"

/* Copies files, directories, links, nodes with owner, mode and times of files; follows no
 * link, keeps no hard links. At most TREE_COPY_DEPTH deep (-ELOOP). */
#define TREE_COPY_DEPTH 64
int tree_copy(int from, int to, struct error *err);
