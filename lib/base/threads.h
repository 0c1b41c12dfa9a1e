/* SPDX-License-Identifier: Apache-2.0 */
/* threads: the same function on several threads, until all have returned. */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"

#define THREADS_MAX 64
#define THREADS_STACK                                                                              \
	(512u * 1024) /* bytes; musl gives a thread 128 KiB, TLS and paths want more */

/* At most `want` (at most THREADS_MAX) threads; fewer when the system has no more, an error only
 * when there was none. Blocks; the function's results are its data's business. */
int threads_run(size_t want, void *(*fn)(void *data), void *data, struct error *err);
