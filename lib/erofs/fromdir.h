/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fromdir: a tree from a folder of the host.
 *
 * Links are not followed, hard links are found, content is read when the image is
 * written (the folder must not change until then; a changed size is an error). Other
 * file systems mounted below are entered.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/erofs/tree.h"

struct erofs_fromdir_opts {
	bool all_root;    /* uid and gid 0 for all */
	bool set_mtime;   /* `mtime` for all, else the files' own */
	bool clamp_mtime; /* with set_mtime: only for those that are newer */
	int64_t mtime;
	bool no_xattrs;
	bool skip_sockets;
	/* Asked for every path ("a/b", no leading slash); true leaves it out, with all
	 * below it. May be NULL. */
	bool (*exclude)(const char *path, size_t len, void *data);
	void *exclude_data;
};

/* Adds what is in `path` to the tree; the folder itself gives the root's attributes. */
int erofs_tree_from_dir(struct erofs_tree *tree, const char *path,
                        const struct erofs_fromdir_opts *opts, struct error *err);
