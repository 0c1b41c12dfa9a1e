/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace: running kihon-trace for those who ask what happens in a container (docs/trace.md).
 *
 * A trace is one process of that program and the pipe that its lines come through: the pipe holds
 * them until they are read, and a reader that is slow costs this process nothing. A trace ends with
 * the container, by trace_stop(), with the connection that it was started on, and when nobody has
 * read for TRACE_IDLE_MS.
 */
#pragma once

#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/loop.h"
#include "lib/rpc/server.h"

#define TRACE_MAX      16u          /* at a time */
#define TRACE_START_MS 60000u       /* for the program to be ready */
#define TRACE_IDLE_MS  60000u       /* without a reader */
#define TRACE_READ_MAX (256u << 10) /* bytes of an answer */
#define TRACE_READ_MIN (32u << 10)  /* more than the longest line */

struct trace;

struct traces {
	struct loop *loop;
	const char *program;
	struct trace *first;
	struct trace *dying; /* ended; their programs are not reaped yet */
	uint64_t last_number;
};

/* `program` must outlive it. */
void traces_init(struct traces *t, struct loop *loop, const char *program);
/* Kills them, answers nobody: after the server is gone. */
void traces_release(struct traces *t);
/* Ends those that were started on this connection. */
void traces_disconnected(struct traces *t, uint64_t connection);

struct trace_target {
	const char *container_id;
	const char *kinds; /* with commas; NULL: all */
	int cgroup_fd;     /* of its folder; stays the caller's, as pidns_fd does */
	int pidns_fd;      /* -1: not known */
};

/* Starts one; the call is answered with its id when the program is ready, or with why it cannot
 * be. Negative (-EEXIST, -ENOSPC, ...): the call is still the caller's. */
int trace_start(struct traces *traces, struct rpc_call *call, const struct trace_target *target,
                struct error *err);
/* Answers the call with lines, now or later. -ENOENT, -EBUSY: somebody else waits; -EINVAL. */
int trace_read(struct traces *traces, struct rpc_call *call, const char *id, uint32_t max_bytes,
               uint64_t timeout_ms, struct error *err);
/* -ENOENT. Who waits for lines is told that it has ended. */
int trace_stop(struct traces *traces, const char *id, struct error *err);
