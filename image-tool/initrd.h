/* SPDX-License-Identifier: Apache-2.0 */
/*
 * initrd: an EROFS image as a gzip-packed cpio archive that the kernel unpacks into its
 * root (Documentation/driver-api/early-userspace/buffer-format.rst, "newc").
 */
#pragma once

#include "lib/base/error.h"
#include "lib/erofs/reader.h"

/* Every member carries the time of its inode; inode numbers count from 1, so that the same tree
 * gives the same bytes. Extended attributes cannot be kept: a file with some is -EOPNOTSUPP,
 * a file of 4 GiB and more -EFBIG. */
int initrd_write(struct erofs_image *image, int out_fd, struct error *err);
