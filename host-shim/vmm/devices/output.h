/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output: what a guest prints, on its way to a descriptor: never blocking, bounded in memory and,
 * if asked, in rate. What does not fit is lost and counted: a guest whose console nobody reads
 * goes on.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

#define OUTPUT_HOLD (64u * 1024) /* bytes */

struct output;

/* fd is made non-blocking, stays the caller's and must outlive this; SIGPIPE must be ignored.
 * rate: bytes a second, 0 for no bound. */
int output_new(struct output **out, struct loop *loop, int fd, uint64_t rate, struct error *err);
/* Writes what can be written at once. NULL is fine. */
void output_free(struct output *o);
DEFINE_CLEANUP(struct output, output, output_free)
#define _cleanup_output_ _cleanup_(cleanup_output)

/* From any thread. */
void output_put(struct output *o, const void *bytes, size_t size);

/* Bytes that were lost so far. */
uint64_t output_lost(struct output *o);
