/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hot: the files of a root that its compression leaves alone, for DAX to map them.
 *
 * A list has a pattern a line, as fnmatch(3) takes them with FNM_PATHNAME: `*`, `?` and `[...]`
 * do not match a slash, a backslash takes the meaning away. Paths are from the root, with or
 * without a first slash; a folder stands for all that is below it. Empty lines and lines that
 * begin with `#` mean nothing.
 */
#pragma once

#include "image-tool/stage.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/erofs/tree.h"
#include "lib/guestimg/locate.h"

#define HOT_AUTO "auto"

/* Reads a list. -EINVAL (kind input). */
int hot_read(const char *file, struct strv *out, struct error *err);
/* Marks what the patterns match (erofs_node_set_hot()); one that matches nothing is -ENOENT (kind
 * input), which names it. `what` is the list, for errors. */
int hot_mark(struct erofs_tree *tree, const struct strv *patterns, const char *what,
             struct error *err);

/* The list that an image was built with, and keeping one in it. */
int hot_former(const struct guestimg *img, struct strv *out, struct error *err);
int hot_keep(struct guestimg *img, const struct strv *patterns, struct error *err);

/* What is booted to learn a list. */
struct hot_trace {
	const struct locations *where;
	struct stage *stage;     /* the kernel is in it, and the traced image for a while */
	struct erofs_tree *tree; /* as it was again afterwards */
	const char *vmlinux;     /* its name in the stage */
	const char *kernel_version;
	const struct strv *cmdline; /* kernel words of the profile */
};

/* Boots the tree once, without DAX and compression, through `kihon boot`, waits until its
 * processes rest and takes the files of which something was read by then. Errors of the boot are
 * of kind environment. */
int hot_learn(const struct hot_trace *trace, struct strv *out, struct error *err);
