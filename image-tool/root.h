/* SPDX-License-Identifier: Apache-2.0 */
/* root: makes the root file system of an image, in the format asked for. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "image-tool/compression.h"
#include "image-tool/stage.h"
#include "lib/base/error.h"
#include "lib/erofs/tree.h"
#include "lib/guestimg/guestimg.h"

#define ROOT_FORMATS     "erofs|initrd|ext4|kata"
#define ROOT_FS_TYPES    "erofs|ext4"
#define ROOT_VERITY_FILE "root_hash.txt" /* of --format kata --verity */

struct root_request {
	struct erofs_tree *tree;
	struct stage *stage;
	const char *format;   /* one of ROOT_FORMATS */
	const char *fs_type;  /* of ROOT_FS_TYPES: what is in a Kata disk; NULL: erofs */
	const char *compress; /* as compression_choose() takes it; NULL: the format's own */
	const char *hot;      /* files that stay plain, see there; NULL: none */
	uint64_t size;        /* bytes of an ext4 or Kata image; 0: the least */
	bool verity;
	int64_t mtime;
};

/* What goes together, and what a kernel needs for it. */
struct root_plan {
	const struct format *format;
	const char *fs_type; /* "erofs", "ext4" or "initrd" */
	char file[32];
	struct compression compression;
};

/* -EINVAL (kind usage): it does not go together. */
int root_plan(const struct root_request *req, struct root_plan *plan, struct error *err);
/* Makes it in the stage and fills img->rootfs, img->verity and img->cmdline (with this format's
 * words only). Strings are the arena's of img, or constants. */
int root_make(const struct root_request *req, const struct root_plan *plan, struct guestimg *img,
              struct error *err);
