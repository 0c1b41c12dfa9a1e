/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection: one socket with ttrpc frames on a loop, what server and client share.
 *
 * Output is written at once as far as the socket takes it; the rest waits here.
 * Every end of a connection (the peer's, an error, too much output) is told by
 * `closed` from the loop, never from within rpc_connection_send().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/loop.h"
#include "lib/rpc/ttrpc.h"

struct rpc_connection {
	struct loop *loop;
	int fd; /* owned; -1 when closed */
	struct loop_source *source;
	struct ttrpc_parser parser;
	struct buffer out; /* not yet written, from out_done on */
	size_t out_done;
	size_t out_pause, out_limit; /* 0: none */
	uint32_t events;             /* that the source waits for */
	bool held;                   /* not read from */
	bool reads_much;             /* the last read was a full one: there will be more */
	bool broken;                 /* shut down; `closed` will follow */
	const char *why;             /* when broken */
	ttrpc_frame_fn on_frame;     /* non-zero: the connection was released */
	void (*on_closed)(const char *why, void *data);
	void *data;
};

/* Fill in on_frame, on_closed, data and the limits first. Takes fd on success. */
int rpc_connection_start(struct rpc_connection *c, struct loop *loop, int fd, struct error *err);
void rpc_connection_send(struct rpc_connection *c, const uint8_t *bytes, size_t size);
/* Stops or resumes reading. */
void rpc_connection_hold(struct rpc_connection *c, bool hold);
size_t rpc_connection_backlog(const struct rpc_connection *c);
/* Ends the connection from this side; `closed` follows from the loop. */
void rpc_connection_break(struct rpc_connection *c, const char *why);
/* Writes what waits, blocking for at most timeout_ms. */
void rpc_connection_flush(struct rpc_connection *c, uint64_t timeout_ms);
/* Closes; nothing is called any more. Can be repeated. */
void rpc_connection_release(struct rpc_connection *c);
