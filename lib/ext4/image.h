/* SPDX-License-Identifier: Apache-2.0 */
/* image: an ext4 image that is being looked at. Private to lib/ext4. */
#pragma once

#include <ext2fs/ext2fs.h>

#include "lib/ext4/walk.h"

struct ext4_image {
	ext2_filsys fs;
	uint64_t offset; /* of the image in its file */
};

/* -EUCLEAN, -EOPNOTSUPP or an errno value of the file for a code of libext2fs. */
int ext4_failed(errcode_t code, struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int ext4_damaged(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
