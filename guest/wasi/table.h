/* SPDX-License-Identifier: Apache-2.0 */
/* table: the module's descriptors and what each may be used for. */
#pragma once

#include "guest/wasi/wasi.h"

/* Descriptors a module can have. The kernel's own limit (RLIMIT_NOFILE) may be lower. */
#define WASI_FDS_MAX 65536

/* Rights that a file of this type can have at all. */
uint64_t wasi_type_rights(enum wasi_filetype type);

/* The type of a DT_ number of the kernel; IFTODT() makes one of a mode. */
enum wasi_filetype wasi_dt_type(unsigned int dt);
/* The type of an open descriptor of the kernel. */
enum wasi_filetype wasi_fd_type(int fd);

/*
 * The row `fd` if it has all of `rights`. WASI_BADF: it is not open; WASI_ISDIR: it is a directory
 * and the right is one that only files have; WASI_NOTDIR: the reverse; else WASI_NOTCAPABLE.
 */
uint32_t wasi_fd_get(const struct wasi *w, uint32_t fd, uint64_t rights, struct wasi_fd **out);

/* Puts a descriptor of the kernel into the lowest free row, with those of the rights that its type
 * can have. On failure closes it. */
uint32_t wasi_fd_add(struct wasi *w, int kernel_fd, uint64_t base, uint64_t inheriting,
                     uint32_t *out);

/* Closes and frees a row. The kernel's own answer (EIO of a late write) is WASI's. Of the kernel's
 * descriptors 0 to 2 /dev/null takes the place: our last words (runtime.c) go to 2, and must not
 * end up in a file of the module. */
uint32_t wasi_fd_drop(struct wasi_fd *f);
