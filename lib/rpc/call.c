/* SPDX-License-Identifier: Apache-2.0 */
/* call: a request that waits for its answer, and how the answer goes out. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/rpc/server_parts.h"

/* Answers up to this size are built in memory that is kept while calls come. */
#define SCRATCH_KEEP (128u << 10)

/* ---- answers */

void server_scratch_idle(struct loop_source *src, void *data)
{
	struct rpc_server *s = data;

	s->scratch_armed = false;
	buffer_free(&s->scratch);
}

/* Sends from the scratch buffer, which is empty then. */
static void send_bytes(struct peer *peer, const uint8_t *data, size_t size)
{
	struct rpc_server *s = peer->server;

	rpc_connection_send(&peer->conn, data, size);
	if (s->scratch.room > SCRATCH_KEEP || !s->scratch_timer)
		buffer_free(&s->scratch);
	else
		buffer_clear(&s->scratch);
	if (!s->scratch_armed && s->scratch_timer)
		s->scratch_armed = loop_set_timer(s->scratch_timer, SCRATCH_IDLE_MS) == 0;
}

static void send_scratch(struct peer *peer)
{
	send_bytes(peer, peer->server->scratch.data, peer->server->scratch.size);
}

void server_send_status(struct peer *peer, uint32_t stream, int code, const char *text)
{
	struct rpc_server *s = peer->server;

	if (ttrpc_put_status(&s->scratch, stream, code, text) == 0) {
		send_scratch(peer);
		return;
	}
	/* On a full memory a status still goes out, if need be without its text. */
	buffer_clear(&s->last_resort);
	if (ttrpc_put_status(&s->last_resort, stream, code, text) == 0 ||
	    ttrpc_put_status(&s->last_resort, stream, code, "out of memory") == 0)
		rpc_connection_send(&peer->conn, s->last_resort.data, s->last_resort.size);
	else
		rpc_connection_break(&peer->conn, "out of memory for answers");
}

/* Unlinks the call, so that nothing finds it any more. */
static void call_detach(struct rpc_call *call)
{
	struct peer *peer = call->peer;

	if (!peer)
		return;
	if (call->next)
		call->next->prev = call->prev;
	if (call->prev)
		call->prev->next = call->next;
	else
		peer->calls = call->next;
	peer->n_calls--;
	peer->server->pending -= call->charged;
	loop_source_free(call->timer);
	call->timer = NULL;
	call->peer = NULL;
}

struct rpc_call *server_call_new(struct peer *peer, uint32_t stream)
{
	struct rpc_server *s = peer->server;
	struct rpc_call *call = s->spare;
	struct arena arena = arena_init(RPC_ARENA_LIMIT);

	if (call)
		arena = call->arena;
	else
		call = malloc(sizeof(*call));
	if (!call)
		return NULL;
	s->spare = NULL;
	*call = (struct rpc_call){.server = s, .peer = peer, .stream = stream, .arena = arena};
	call->next = peer->calls;
	if (call->next)
		call->next->prev = call;
	peer->calls = call;
	peer->n_calls++;
	return call;
}

void server_call_free(struct rpc_call *call)
{
	struct rpc_server *s = call->server;

	call_detach(call);
	if (s->spare) {
		arena_free(&call->arena);
		free(call);
		return;
	}
	arena_reset(&call->arena);
	s->spare = call;
}

/* The handler may still look at its request: it is freed when it returns. */
static void call_answered(struct rpc_call *call)
{
	if (call->in_handler) {
		call_detach(call);
		call->answered = true;
	} else {
		server_call_free(call);
	}
}

void server_call_cancel(struct rpc_call *call)
{
	call_detach(call);
	if (call->cancel)
		call->cancel(call->cancel_data);
	server_call_free(call);
}

void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *message)
{
	struct peer *peer = call->peer;
	int r;

	if (!peer)
		return;
	if (message && message->descriptor != call->method->output) {
		rpc_call_fail(call, RPC_INTERNAL, "%s: answer of the wrong type",
		              call->method->name);
		return;
	}
	r = ttrpc_put_reply(&peer->server->scratch, call->stream, message);
	if (r == 0)
		send_scratch(peer);
	else
		server_send_status(peer, call->stream, RPC_RESOURCE_EXHAUSTED,
		                   r == -EMSGSIZE ? "the answer is larger than 4 MiB"
		                                  : "out of memory for the answer");
	call_answered(call);
}

uint8_t *rpc_call_bytes_room(struct rpc_call *call, size_t max)
{
	return call->peer ? ttrpc_bytes_room(&call->peer->server->scratch, max) : NULL;
}

void rpc_call_reply_bytes(struct rpc_call *call, unsigned int field, uint8_t *data, size_t size)
{
	struct peer *peer = call->peer;
	const uint8_t *frame;

	if (!peer)
		return;
	size = ttrpc_put_bytes(data, size, call->stream, field, &frame);
	send_bytes(peer, frame, size);
	call_answered(call);
}

void rpc_call_fail(struct rpc_call *call, enum rpc_code code, const char *fmt, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list ap;

	if (!call->peer)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	server_send_status(call->peer, call->stream, code, text);
	call_answered(call);
}

void rpc_call_fail_error(struct rpc_call *call, const struct error *err)
{
	rpc_call_fail(call, err->code ? rpc_code_from_errno(err->code) : RPC_INTERNAL, "%s",
	              err->text);
}

void rpc_call_on_cancel(struct rpc_call *call, void (*fn)(void *data), void *data)
{
	call->cancel = fn;
	call->cancel_data = data;
}

struct arena *rpc_call_arena(struct rpc_call *call)
{
	return &call->arena;
}

struct arena rpc_call_take_arena(struct rpc_call *call)
{
	struct arena taken = call->arena;

	call->arena = arena_init(RPC_ARENA_LIMIT);
	return taken;
}

const char *rpc_call_method(const struct rpc_call *call)
{
	return call->method->name;
}

uint64_t rpc_call_connection(const struct rpc_call *call)
{
	return call->peer ? call->peer->number : 0;
}
