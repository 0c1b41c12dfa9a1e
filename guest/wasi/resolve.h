/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve: paths of the module, which never lead out of the directory they start from.
 *
 * Links and ".." are followed by the kernel (openat2 RESOLVE_BENEATH), so that another process
 * that moves directories about changes nothing. A path that would leave, an absolute one, or one
 * through an absolute link is WASI_NOTCAPABLE. A kernel without openat2 (before 5.6) gives
 * WASI_NOSYS: there is no second, weaker way.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "guest/wasi/wasi.h"

/* Takes a string of the module: UTF-8 without NUL, not empty. WASI_FAULT, WASI_INVAL (a NUL),
 * WASI_ILSEQ (not UTF-8), WASI_NAMETOOLONG, WASI_NOENT (empty). */
uint32_t wasi_string(const struct wasi *w, uint32_t at, uint32_t size, char out[PATH_MAX]);

/* openat2(2) below `dir`; *out is the caller's. */
uint32_t wasi_resolve(const struct wasi_fd *dir, const char *path, int flags, mode_t mode,
                      int *out);

/*
 * For what changes a directory: opens the folder that the path's last part is in and leaves that
 * part, which no link is followed for, in *last (a part of `path`, with its slashes at the end).
 * "." and ".." are resolved: *last is then ".".
 */
uint32_t wasi_resolve_parent(const struct wasi_fd *dir, char *path, int *parent, const char **last);

/* The descriptor `fd` with `rights`, and the path at `path`. */
uint32_t wasi_path_arguments(const struct wasi *w, uint32_t fd, uint64_t rights, uint32_t path,
                             uint32_t size, struct wasi_fd **dir, char out[PATH_MAX]);
