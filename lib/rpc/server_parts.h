/* SPDX-License-Identifier: Apache-2.0 */
/* server_parts: what server.c (connections, dispatch) and call.c (calls and their answers) share.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/loop.h"
#include "lib/rpc/connection.h"
#include "lib/rpc/server.h"

#define MAX_SERVICES    4u
#define SCRATCH_IDLE_MS 1000u

struct peer;

struct rpc_call {
	struct rpc_call *next, *prev; /* of the peer's */
	struct rpc_server *server;
	struct peer *peer; /* NULL: it has ended */
	struct arena arena;
	const struct service *service;
	const ProtobufCMethodDescriptor *method;
	struct loop_source *timer;
	void (*cancel)(void *data);
	void *cancel_data;
	size_t charged;
	uint32_t stream;
	bool in_handler;
	bool answered; /* within the handler: freed when it returns */
};

struct peer {
	struct peer *next, *prev;
	struct rpc_server *server;
	struct rpc_connection conn;
	struct rpc_call *calls;
	unsigned int n_calls;
	uint64_t number;
};

struct service {
	const ProtobufCServiceDescriptor *desc;
	const struct rpc_handler *table;
	void *data;
};

struct listener {
	struct listener *next;
	struct rpc_server *server;
	int fd;
	struct loop_source *source;
	struct loop_source *retry;
};

struct rpc_server {
	struct loop *loop;
	struct rpc_limits limits;
	struct service services[MAX_SERVICES];
	unsigned int n_services;
	rpc_gate_fn gate;
	void *gate_data;
	void (*disconnected)(uint64_t connection, void *data);
	void *disconnected_data;
	uint64_t last_number; /* of a connection */
	struct listener *listeners;
	struct peer *peers;
	unsigned int n_peers;
	size_t pending; /* bytes charged */
	bool held;
	struct arena envelope;  /* of the frame that is looked at */
	struct rpc_call *spare; /* one that ended, with its arena: calls come one after the other */
	struct buffer scratch, last_resort;
	struct loop_source *scratch_timer;
	bool scratch_armed;
};

/* A call in its peer's list; NULL: no memory. */
struct rpc_call *server_call_new(struct peer *peer, uint32_t stream);
void server_call_free(struct rpc_call *call);
/* For one whose answer nobody wants any more. */
void server_call_cancel(struct rpc_call *call);
/* An answer to a request that became no call, or to one that is about to be cancelled. */
void server_send_status(struct peer *peer, uint32_t stream, int code, const char *text);
/* Once SCRATCH_IDLE_MS have passed without an answer. */
void server_scratch_idle(struct loop_source *src, void *data);
