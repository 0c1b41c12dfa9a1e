/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iov: scattered bytes, as virtio 1.2 §2.7.4 leaves framing to the driver: a
 * device must not assume how a buffer is cut into descriptors.
 */
#pragma once

#include <stddef.h>
#include <sys/uio.h>

/* Copy at most `len` bytes at `offset`; return how many there were. */
size_t iov_read(const struct iovec *iov, size_t n, size_t offset, void *to, size_t len);
size_t iov_write(const struct iovec *iov, size_t n, size_t offset, const void *from, size_t len);

/* Fills `out` (room for `max`) with the pieces of [offset, offset + len), cut short where
 * the source ends; returns the number of pieces and, in *total, their bytes. */
size_t iov_slice(const struct iovec *iov, size_t n, size_t offset, size_t len, struct iovec *out,
                 size_t max, size_t *total);
