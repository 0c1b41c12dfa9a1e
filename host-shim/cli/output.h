/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output: writes to a descriptor that others share, without blocking the loop.
 *
 * Standard output cannot be made non-blocking: the flag would be the terminal's
 * or the pipe's, for everybody. So: when it polls writable, write no more than
 * a pipe takes then for sure.
 */
#pragma once

#include "lib/base/bytes.h"
#include "lib/base/loop.h"

struct output;

/* All that was put is written (err 0), or it cannot be written (negative errno; -EPIPE: the
 * reader has gone). Not called from within output_put(). */
typedef void (*output_done_fn)(void *data, int result);

int output_new(struct output **out, struct loop *loop, int fd, output_done_fn done, void *data,
               struct error *err);
/* Copies the bytes; done follows. */
int output_put(struct output *o, const void *bytes, size_t size);
void output_free(struct output *o); /* NULL is fine */
