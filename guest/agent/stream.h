/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: one end of a process's input or output, with the calls that wait for it.
 *
 * Reading answers one call with what is there, the oldest first. After
 * stream_ended() (the process is gone) what is buffered still comes; a descendant
 * that keeps the other end open holds the end of the stream up for at most
 * STREAM_DRAIN_MS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/agent/agent_config.h"
#include "lib/base/loop.h"
#include "lib/rpc/server.h"

#define STREAM_DRAIN_MS 500u
#define STREAM_READ_MAX 32768u /* bytes of one answer */

struct stream;

/* Takes fd (made non-blocking) on success. at_end runs once an end was told to a reader; may be
 * NULL. */
int stream_new(struct loop *loop, int fd, enum agent_eof eof, void (*at_end)(void *data),
               void *data, struct stream **out, struct error *err);
/* Waiting calls are answered as at the end of the stream. NULL is fine. */
void stream_free(struct stream *s);

/* Answers (or parks) a call whose output type is ReadStreamResponse. */
void stream_read(struct stream *s, struct rpc_call *call, uint32_t len);
/* Answers (or parks) a call whose output type is WriteStreamResponse, once all of data, which
 * belongs to the call's request, is written. */
void stream_write(struct stream *s, struct rpc_call *call, const uint8_t *data, size_t size);
/* Answers once everything written before has gone out, and closes. */
void stream_close_input(struct stream *s, struct rpc_call *call);

void stream_ended(struct stream *s);
/* The end was reached and told, or there is nothing to read from. NULL: true. */
bool stream_at_end(const struct stream *s);
int stream_fd(const struct stream *s); /* -1 when closed */
