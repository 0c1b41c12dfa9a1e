/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: ttrpc services on an event loop, answers in any order.
 *
 * A handler gets a call and answers it, at once or later (a *parked* call).
 * A call lives until it is answered or cancelled: after rpc_call_reply() or
 * rpc_call_fail(), or after the function given to rpc_call_on_cancel() ran,
 * the pointer must not be used again. A handler that returns without having
 * answered must have set such a function; otherwise the server answers
 * INTERNAL itself. Calls are cancelled when their connection ends, when their
 * timeout_nano passes (the server has answered DEADLINE_EXCEEDED then) and
 * when the server is freed.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"
#include "lib/rpc/ttrpc.h"

struct rpc_server;
struct rpc_call;

struct rpc_limits {
	unsigned int connections; /* further ones are closed at once; default 64 */
	unsigned int calls;       /* pending on one connection; further ones are answered
	                           * RESOURCE_EXHAUSTED; default 4096 */
	size_t output_pause;      /* unread output of a connection at which its requests are
	                           * no longer read; default 256 KiB */
	size_t output_limit;      /* at which the connection is dropped; default 16 MiB */
};

typedef void (*rpc_handler_fn)(struct rpc_call *call, const ProtobufCMessage *request, void *data);

struct rpc_handler {
	const char *method; /* as on the wire; NULL ends a table */
	rpc_handler_fn fn;  /* NULL: UNIMPLEMENTED */
	const char *reason; /* why, when fn is NULL */
};

/* Asked before each handler: 0 lets the call through, else an enum rpc_code that it is
 * answered with, `why` (of why_size bytes) being the text. */
typedef int (*rpc_gate_fn)(const char *service, const char *method, const ProtobufCMessage *request,
                           void *data, char *why, size_t why_size);

/* limits NULL or members 0: the defaults. */
int rpc_server_new(struct loop *loop, const struct rpc_limits *limits, struct rpc_server **out,
                   struct error *err);
/* Cancels all calls, closes all sockets. NULL is fine. */
void rpc_server_free(struct rpc_server *server);
DEFINE_CLEANUP(struct rpc_server, rpc_server, rpc_server_free)
#define _cleanup_rpc_server_ _cleanup_(cleanup_rpc_server)

/* Methods of the descriptor that the table does not have are UNIMPLEMENTED. The table
 * must outlive the server. -EINVAL when it has one that the descriptor does not. */
int rpc_server_add_service(struct rpc_server *server, const ProtobufCServiceDescriptor *service,
                           const struct rpc_handler *table, void *data, struct error *err);
void rpc_server_set_gate(struct rpc_server *server, rpc_gate_fn gate, void *data);

/* Takes a listening socket (rpc_listen()) or a connected one, on success. */
int rpc_server_listen(struct rpc_server *server, int fd, struct error *err);
int rpc_server_add_connection(struct rpc_server *server, int fd, struct error *err);
/* While held, connections are accepted but nothing is read from them. */
void rpc_server_hold(struct rpc_server *server, bool hold);
unsigned int rpc_server_connections(const struct rpc_server *server);

/* Accepts and reads no more; writes what is queued, blocking for at most timeout_ms. For
 * the last answer before the end. */
void rpc_server_flush(struct rpc_server *server, uint64_t timeout_ms);

/* Told the number of each connection that ends, after its calls were cancelled. */
void rpc_server_on_disconnect(struct rpc_server *server,
                              void (*fn)(uint64_t connection, void *data), void *data);

/* ---- calls */

/* Answers with the message (of the method's output type), or an empty one for NULL. The
 * message is packed at once. */
void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *message);
/* For an output type whose only content is bytes in one field. The RPC_BYTES_PREFIX bytes before
 * `data` are written over. Such memory is the caller's own, or that of rpc_call_bytes_room(): room
 * for at most `max` bytes, to be filled before anything else is answered; NULL on a full memory. */
#define RPC_BYTES_PREFIX TTRPC_BYTES_PREFIX
uint8_t *rpc_call_bytes_room(struct rpc_call *call, size_t max);
void rpc_call_reply_bytes(struct rpc_call *call, unsigned int field, uint8_t *data, size_t size);
void rpc_call_fail(struct rpc_call *call, enum rpc_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The code from err->code (rpc_code_from_errno()), the text from err. */
void rpc_call_fail_error(struct rpc_call *call, const struct error *err);

/* fn runs once when the call ends unanswered; the request and the call's arena are still
 * there while it runs. NULL takes it back. */
void rpc_call_on_cancel(struct rpc_call *call, void (*fn)(void *data), void *data);

/* Memory that lives as long as the call; the request is in it, too. */
struct arena *rpc_call_arena(struct rpc_call *call);
/* Moves the arena, and the request with it, to the caller: for work that goes on when the call
 * is cancelled. The call has a new, empty one. */
struct arena rpc_call_take_arena(struct rpc_call *call);
const char *rpc_call_method(const struct rpc_call *call);
/* Number of its connection, from 1 on and never used again; 0: the call was answered. */
uint64_t rpc_call_connection(const struct rpc_call *call);
