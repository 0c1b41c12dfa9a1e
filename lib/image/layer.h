/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer: applies the rules of a layer (OCI image-spec layer.md) while an archive is
 * read, and makes one EROFS image of it that overlayfs stacks on others.
 *
 * Content goes to the file as it comes; names and attributes stay in memory until
 * layer_finish(). Nothing of the archive touches a file system: ".." and absolute names
 * are taken from the layer's root, symbolic links are followed inside it, devices are
 * entries in an image. ".wh." files become whiteouts (character device 0:0) or opaque
 * directories (trusted.overlay.opaque), wherever in the archive they stand.
 *
 * A parent that the archive does not carry shows what the layers below have there:
 * its attributes come from them, and where they have a symbolic link, the children
 * go where it points, as when the layer is unpacked over them.
 */
#pragma once

#include <stdbool.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/erofs/writer.h"
#include "lib/image/lower.h"
#include "lib/image/tar.h"

struct layer;

/* An extended attribute, "y", of a layer's root directory whose archive does not carry one:
 * the image's root is then what the topmost layer below without this mark says. (Taking the
 * attributes in, as parents do, would tie nearly every layer to those below it.) */
#define LAYER_ROOT_UNSAID "trusted.kihon.root-unsaid"

/* out_fd: an empty regular file, the caller's. */
int layer_new(int out_fd, const struct tar_limits *limits, struct layer **out, struct error *err);

struct layer_options {
	struct erofs_write_opts write;
	struct tar_limits limits;
	/* Content that the layer has already is not stored again (dedupe.h). */
	bool dedupe;
	/* Nothing will ever be below: whiteouts mean nothing and leave no trace. */
	bool bottom;
	/* The root takes what the archive does not say from below, as other directories do; there
	 * is no LAYER_ROOT_UNSAID. */
	bool whole_root;
};
int layer_new_with(int out_fd, const struct layer_options *o, struct layer **out,
                   struct error *err);
void layer_free(struct layer *l);
DEFINE_CLEANUP(struct layer, layer, layer_free)
#define _cleanup_layer_ _cleanup_(cleanup_layer)

/* For tar_new() or stage_tar_new(), with the layer as data. */
extern const struct tar_sink layer_sink;

/* After the archive's end: takes in what it says about the layers below. *needs_lower:
 * it has directories whose attributes, or hard links whose content, only those can tell.
 * When not, the image is the same wherever the layer is used. */
int layer_settle(struct layer *l, bool *needs_lower, struct error *err);

/* Completes the image. lower may be NULL when nothing is below or nothing is needed;
 * directories that nobody knows become 0755 root:root. The layer's own root is not
 * taken from below, see LAYER_ROOT_UNSAID, but with whole_root. */
int layer_finish(struct layer *l, struct lower *lower, struct error *err);
