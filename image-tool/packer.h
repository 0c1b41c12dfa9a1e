/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packer: a stream of bytes into a file, packed as a kernel unpacks an initrd: gzip (RFC 1952),
 * zstd (RFC 8878), or LZ4's legacy frame, which is the only one of LZ4's that Linux reads.
 *
 * The same bytes and method give the same file. Memory: gzip 0.4 MiB, LZ4 2.5 MiB, zstd at most
 * 10 MiB, with a window of 2 MiB.
 */
#pragma once

#include <stddef.h>

#include "image-tool/compression.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"

struct packer;

/* fd stays the caller's. how->method: none, gzip, zstd or lz4. */
int packer_new(struct packer **out, const struct compression *how, int fd, struct error *err);
void packer_free(struct packer *p);
DEFINE_CLEANUP(struct packer, packer, packer_free)
#define _cleanup_packer_ _cleanup_(cleanup_packer)

int packer_write(struct packer *p, const void *data, size_t size, struct error *err);
int packer_finish(struct packer *p, struct error *err);
