/* SPDX-License-Identifier: Apache-2.0 */
/* filestat: the record about a file, and the times that are set. */
#pragma once

#include <sys/stat.h>
#include <time.h>

#include "guest/wasi/wasi.h"

/* Nanoseconds; times before 1970 are 0. */
uint64_t wasi_timestamp(const struct timespec *ts);
uint32_t wasi_filestat_put(const struct wasi *w, uint32_t at, const struct stat *st,
                           enum wasi_filetype type);
/* What utimensat(2) takes. WASI_INVAL: unknown bits, or a time and "now" for the same. */
uint32_t wasi_times(uint64_t atim, uint64_t mtim, uint32_t which, struct timespec out[2]);
