/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox_process: a process of a container as the protocol sees it: id, streams,
 * terminal, and whoever waits for its end.
 *
 * After its status was fetched once, a process is gone for WaitProcess; its streams can
 * be read to their ends for PROCESS_LINGER_MS more.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "guest/agent/call_queue.h"
#include "guest/agent/container/container.h"
#include "guest/agent/process_io.h"
#include "guest/agent/stream.h"

#define PROCESS_LINGER_MS 10000u

struct sandbox;
struct sandbox_container;

/* result 0: created (init) or running (exec). Called once; -ECANCELED when the process is freed
 * before. */
typedef void (*process_ready_fn)(int result, const struct error *err, void *data);

struct sandbox_process {
	struct sandbox_process *next;
	struct sandbox_container *container;
	char *exec_id;
	bool is_init, terminal, exited, drained, waited, freeing;
	int code;
	struct container_process *engine; /* the engine's container owns init's */
	struct loop_source *ready, *child, *linger, *launch;
	process_ready_fn ready_fn;
	void *ready_data;
	struct stream *in, *out, *err; /* a terminal has only `out` */
	struct process_io *io;         /* instead of these; NULL: by calls */
	struct call_queue waiters;
};

/* Descriptors for the engine; close with process_stdio_close() after the fork. */
struct process_stdio {
	int child[3];
	int parent[3];
	struct process_io *io; /* owned; NULL: streams are read and written by calls */
};

#define PROCESS_STDIO_INIT                                                                         \
	{                                                                                          \
		{-1, -1, -1}, {-1, -1, -1}, NULL                                                   \
	}

/* ports: the host's connections that the streams are; all 0: none. */
int process_stdio_open(struct process_stdio *io, struct sandbox *s, bool terminal,
                       const uint32_t ports[3], struct error *err);
void process_stdio_close(struct process_stdio *io);
#define _cleanup_process_stdio_ __attribute__((cleanup(process_stdio_close)))

/* Adds the process to the container, takes the parent's ends out of io, and watches for its
 * readiness and end. */
int sandbox_process_new(struct sandbox_container *c, const char *exec_id, bool is_init,
                        bool terminal, struct container_process *engine, struct process_stdio *io,
                        process_ready_fn ready, void *data, struct sandbox_process **out,
                        struct error *err);
/* Watches again, for what comes after container_start(). */
int sandbox_process_await(struct sandbox_process *p, process_ready_fn ready, void *data,
                          struct error *err);
/* Takes that back; ready is not called. */
void sandbox_process_await_not(struct sandbox_process *p);
/* Forgets the process; waiters and readers are answered. Kills nothing. */
void sandbox_process_free(struct sandbox_process *p);

/* Kills it; it is forgotten when it has ended, though nobody waits. */
void sandbox_process_abandon(struct sandbox_process *p);

/* Answers (or parks) with WaitProcessResponse. */
void sandbox_process_wait(struct sandbox_process *p, struct rpc_call *call);
struct stream *sandbox_process_input(struct sandbox_process *p);
struct stream *sandbox_process_output(struct sandbox_process *p, bool error_output);
int sandbox_process_resize(struct sandbox_process *p, uint32_t rows, uint32_t columns,
                           struct error *err);
