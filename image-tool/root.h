/* SPDX-License-Identifier: Apache-2.0 */
/* root: makes the root file system of an image, in the format asked for. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

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
	const char *format;  /* one of ROOT_FORMATS */
	const char *fs_type; /* of ROOT_FS_TYPES: what is in a Kata disk; NULL: erofs */
	bool verity;
	int64_t mtime;
};

/* The file that a format makes. */
const char *root_file(const char *format);
/* Makes it in the stage and fills img->rootfs, img->verity and img->cmdline (with this format's
 * words only). Strings are the arena's of img, or constants. */
int root_make(const struct root_request *req, struct guestimg *img, struct error *err);
