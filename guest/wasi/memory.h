/* SPDX-License-Identifier: Apache-2.0 */
/* memory: the module's memory seen from outside, bounds-checked. */
#pragma once

#include <stdbool.h>
#include <sys/uio.h>

#include "guest/wasi/wasi.h"

/* Vectors a call takes, as the kernel's readv. */
#define WASI_IOVECS_MAX 1024

/* The bytes [at, at + size) of the module's memory; NULL when they are not all in it. */
uint8_t *wasi_bytes(const struct wasi *w, uint32_t at, uint64_t size);

/* WASI_SUCCESS, or WASI_FAULT. */
uint32_t wasi_put_u32(const struct wasi *w, uint32_t at, uint32_t v);
uint32_t wasi_put_u64(const struct wasi *w, uint32_t at, uint64_t v);

/* Takes `n` vectors at `at`. WASI_INVAL: too many; WASI_FAULT: one is outside of the memory. */
uint32_t wasi_iovecs(const struct wasi *w, uint32_t at, uint32_t n,
                     struct iovec iov[WASI_IOVECS_MAX]);
