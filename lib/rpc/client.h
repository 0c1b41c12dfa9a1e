/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client: calling the agent, many calls at once on a loop, or one and wait.
 *
 * A call names a method by the generated service descriptor and its name on
 * the wire, and carries the generated request:
 *
 *	Grpc__StartContainerRequest req = GRPC__START_CONTAINER_REQUEST__INIT;
 *	req.container_id = id;
 *	rpc_client_call(c, &grpc__agent_service__descriptor, "StartContainer", &req.base,
 *			60000, started, data, &err);
 *
 * A request of the wrong type is refused with -EINVAL, nothing is sent.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"
#include "lib/rpc/ttrpc.h"

struct rpc_client;

/* What a call came to. `code` is enum rpc_code; RPC_UNAVAILABLE also when the
 * connection ended first, RPC_DEADLINE_EXCEEDED also when this side gave up. */
struct rpc_result {
	int code;
	const char *message;           /* "" when OK; one line of the peer's, cut at 4 KiB */
	const ProtobufCMessage *reply; /* the method's output; NULL unless code is RPC_OK */
};

/* The result and what it points to are valid during the callback only. The
 * callback may make further calls and may free the client. */
typedef void (*rpc_result_fn)(const struct rpc_result *result, void *data);
/* Once, after every pending call was answered with RPC_UNAVAILABLE. */
typedef void (*rpc_closed_fn)(struct rpc_client *client, const char *why, void *data);

/* Takes the connected stream socket fd on success. */
int rpc_client_new(struct loop *loop, int fd, rpc_closed_fn closed, void *data,
                   struct rpc_client **out, struct error *err);
/* Closes the connection; callbacks of pending calls are not run. NULL is fine. */
void rpc_client_free(struct rpc_client *client);
DEFINE_CLEANUP(struct rpc_client, rpc_client, rpc_client_free)
#define _cleanup_rpc_client_ _cleanup_(cleanup_rpc_client)

/* timeout_ms 0: no limit; else sent to the peer, and kept here with a second's grace.
 * 0: fn will be called once, never from within this function. Negative: it will not:
 * -EINVAL, -EMSGSIZE, -ENOMEM, -ENOTCONN. */
int rpc_client_call(struct rpc_client *client, const ProtobufCServiceDescriptor *service,
                    const char *method, const ProtobufCMessage *request, uint64_t timeout_ms,
                    rpc_result_fn fn, void *data, struct error *err);

/* How many calls wait for an answer. */
unsigned int rpc_client_pending(const struct rpc_client *client);

/* ---- without a loop: one call at a time on a connected socket */

struct rpc_reply {
	int code;                  /* enum rpc_code */
	char *text;                /* owned; the peer's message, NULL when OK */
	ProtobufCMessage *message; /* in `arena`; NULL unless OK */
	struct arena arena;
};

void rpc_reply_free(struct rpc_reply *reply);
#define _cleanup_rpc_reply_ _cleanup_(rpc_reply_free)

/* Sends, and waits at most timeout_ms (0: for ever) for the answer; fd may be
 * blocking or not. `stream` counts the calls made on this fd: start it at 0.
 * 0: the peer answered, see reply->code; negative: it did not (-ETIMEDOUT,
 * -ECONNRESET, -EBADMSG, ...), and the fd is of no further use. Free the reply. */
int rpc_call_wait(int fd, uint32_t *stream, const ProtobufCServiceDescriptor *service,
                  const char *method, const ProtobufCMessage *request, uint64_t timeout_ms,
                  struct rpc_reply *reply, struct error *err);
/* As rpc_call_wait(), and a status that is not OK is an error as well ("StartContainer:
 * NOT_FOUND: no container abc"). */
int rpc_call_wait_ok(int fd, uint32_t *stream, const ProtobufCServiceDescriptor *service,
                     const char *method, const ProtobufCMessage *request, uint64_t timeout_ms,
                     struct rpc_reply *reply, struct error *err);
