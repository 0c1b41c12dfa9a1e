/* SPDX-License-Identifier: Apache-2.0 */
/*
 * initrd: an EROFS image as a packed cpio archive that the kernel unpacks into its
 * root (Documentation/driver-api/early-userspace/buffer-format.rst, "newc").
 */
#pragma once

#include "image-tool/compression.h"
#include "lib/base/error.h"
#include "lib/erofs/reader.h"

/* Members are sorted and carry the times of their inodes; inode numbers count from 1; a file with
 * several names has its content behind the last, as the kernel's usr/gen_init_cpio and GNU cpio
 * write it: the same tree gives the same bytes. Extended attributes cannot be kept: a file with
 * some is -EOPNOTSUPP, a file of 4 GiB and more -EFBIG, both of kind input. */
int initrd_write(struct erofs_image *image, int out_fd, const struct compression *how,
                 struct error *err);
