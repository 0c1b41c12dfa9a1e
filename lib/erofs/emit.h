/* SPDX-License-Identifier: Apache-2.0 */
/* emit: writes the metadata of a laid-out tree: inodes, xattrs, directories, superblock. */
#pragma once

#include "lib/base/error.h"
#include "lib/erofs/layout.h"
#include "lib/erofs/sink.h"

/* The inode table with the xattrs and tails beside it, and the shared xattrs. */
int emit_inodes(const struct layout *l, struct sink *s, struct error *err);
/* Directory blocks and symlink targets that have blocks of their own. */
int emit_directories(const struct layout *l, struct sink *s, struct error *err);
/* Last: the image is of `size` bytes. */
int emit_super(const struct layout *l, struct sink *s, uint64_t size, struct error *err);
