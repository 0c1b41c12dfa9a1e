/* SPDX-License-Identifier: Apache-2.0 */
/*
 * out_stream: writes to a descriptor that others share, without blocking the loop.
 *
 * Standard output cannot be made non-blocking: the flag would be the terminal's
 * or the pipe's, for everybody. So: when it polls writable, write no more than
 * a pipe takes then for sure.
 */
#pragma once

#include "lib/base/bytes.h"
#include "lib/base/loop.h"

struct out_stream;

/* All that was put is written (err 0), or it cannot be written (negative errno; -EPIPE: the
 * reader has gone). Not called from within out_stream_put(). */
typedef void (*out_stream_done_fn)(void *data, int result);

int out_stream_new(struct out_stream **out, struct loop *loop, int fd, out_stream_done_fn done,
                   void *data, struct error *err);
/* Copies the bytes; done follows. */
int out_stream_put(struct out_stream *o, const void *bytes, size_t size);
void out_stream_free(struct out_stream *o); /* NULL is fine */
