/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpack: the bytes of an initrd, whatever it is packed with.
 *
 * Known are cpio archives as they are, gzip, zstd, and LZ4's legacy frame, the one that Linux reads
 * (lz4_Frame_format.md, "Legacy frame": blocks of at most 8 MiB behind their packed size). Memory:
 * that of inflate.h, or 16 MiB for LZ4.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/image/inflate.h"

#define UNPACK_HEAD 6u /* bytes that tell what it is */

/* "none", "gzip", "zstd" or "lz4"; NULL: it is no initrd that is known. */
const char *unpack_method(const uint8_t *head, size_t n);

/* Reads `size` bytes at `offset` and hands what they hold to fn. -EINVAL, -EUCLEAN (kind input):
 * damaged, or no initrd; what fn returns. */
int unpack_file(int fd, uint64_t offset, uint64_t size, inflate_fn fn, void *data,
                struct error *err);
