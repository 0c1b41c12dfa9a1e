/* SPDX-License-Identifier: Apache-2.0 */
/* server: accepting, dispatch by service and method. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/rpc/proto/ttrpc.pb-c.h"
#include "lib/rpc/server_parts.h"

/* Memory of all decoded requests that wait for an answer. */
#define PENDING_LIMIT (64u << 20)
/* Kept for a status when there is no memory: most texts fit. */
#define LAST_RESORT 512u
/* After a failed accept (no descriptors): when to try again. */
#define ACCEPT_RETRY_MS 200u

/* ---- requests */

static void call_timeout(struct loop_source *src, void *data)
{
	struct rpc_call *call = data;

	/* Kata's agent says it in this one word. */
	server_send_status(call->peer, call->stream, RPC_DEADLINE_EXCEEDED, "timeout");
	server_call_cancel(call);
}

static const struct rpc_handler *find_handler(const struct service *service, const char *method)
{
	const struct rpc_handler *h = service->table;

	while (h && h->method && strcmp(h->method, method) != 0)
		h++;
	return h && h->method ? h : NULL;
}

static int run_gate(struct rpc_call *call, const ProtobufCMessage *request)
{
	struct rpc_server *s = call->peer->server;
	char why[256] = "";
	int code;

	if (!s->gate)
		return 0;
	code = s->gate(call->service->desc->name, call->method->name, request, s->gate_data, why,
	               sizeof(why));
	if (code)
		rpc_call_fail(call, (enum rpc_code)code, "%s", why);
	return code;
}

static void call_run(struct rpc_call *call, const ProtobufCMessage *request)
{
	const struct rpc_handler *h = find_handler(call->service, call->method->name);

	call->in_handler = true;
	if (run_gate(call, request) == 0) {
		if (h && h->fn)
			h->fn(call, request, call->service->data);
		else
			rpc_call_fail(call, RPC_UNIMPLEMENTED, "%s is not implemented%s%s",
			              call->method->name, h && h->reason ? ": " : "",
			              h && h->reason ? h->reason : "");
	}
	call->in_handler = false;
	if (call->answered) {
		server_call_free(call);
	} else if (!call->cancel) {
		log_error("%s was left unanswered", call->method->name);
		rpc_call_fail(call, RPC_INTERNAL, "%s was left unanswered", call->method->name);
	}
}

static int set_deadline(struct rpc_call *call, int64_t timeout_nano)
{
	uint64_t ms = (uint64_t)timeout_nano / 1000000;

	if (timeout_nano <= 0)
		return 0;
	return loop_add_timer(call->peer->server->loop, ms ? ms : 1, call_timeout, call,
	                      &call->timer, NULL);
}

static const struct service *find_service(const struct rpc_server *s, const char *name)
{
	for (unsigned int i = 0; i < s->n_services; i++)
		if (strcmp(s->services[i].desc->name, name) == 0)
			return &s->services[i];
	return NULL;
}

/* Makes and runs the call that the envelope asks for. Returns a status with *text when it
 * cannot be. */
static int begin_call(struct peer *peer, uint32_t stream, const Ttrpc__Request *env,
                      const char **text)
{
	struct rpc_server *s = peer->server;
	const struct service *service = find_service(s, env->service);
	const ProtobufCMethodDescriptor *method = NULL;
	ProtobufCMessage *request;
	struct rpc_call *call;
	bool room;

	*text = "no such service";
	if (!service)
		return RPC_INVALID_ARGUMENT;
	method = protobuf_c_service_descriptor_get_method_by_name(service->desc, env->method);
	*text = "no such method";
	if (!method)
		return RPC_UNIMPLEMENTED;
	*text = "too many calls are waiting";
	if (peer->n_calls >= s->limits.calls)
		return RPC_RESOURCE_EXHAUSTED;
	*text = "out of memory";
	call = server_call_new(peer, stream);
	if (!call)
		return RPC_RESOURCE_EXHAUSTED;
	call->service = service;
	call->method = method;
	request = rpc_unpack(method->input, &call->arena, env->payload.data, env->payload.len);
	room = !call->arena.failed && s->pending + call->arena.used <= PENDING_LIMIT;
	if (!request || !room || set_deadline(call, env->timeout_nano) < 0) {
		*text = request || !room ? "out of memory for the request"
		                         : "the request cannot be decoded";
		server_call_free(call);
		return request || !room ? RPC_RESOURCE_EXHAUSTED : RPC_INVALID_ARGUMENT;
	}
	call->charged = call->arena.used;
	s->pending += call->charged;
	call_run(call, request);
	return 0;
}

static int peer_frame(const struct ttrpc_frame *frame, void *data)
{
	struct peer *peer = data;
	struct arena *arena = &peer->server->envelope;
	ProtobufCMessage *env = NULL;
	const char *text = "the request cannot be decoded";
	int code = RPC_INVALID_ARGUMENT;

	if (frame->type != TTRPC_REQUEST)
		return 0;
	if (frame->stream % 2 == 0) {
		text = "stream ids of requests are odd";
	} else if (frame->oversize) {
		text = frame->no_memory ? "out of memory for the request"
		                        : "the request is larger than 4 MiB";
		code = frame->no_memory ? RPC_RESOURCE_EXHAUSTED : code;
	} else {
		env = rpc_unpack(&ttrpc__request__descriptor, arena, frame->data, frame->size);
		if (env)
			code = begin_call(peer, frame->stream, (Ttrpc__Request *)env, &text);
	}
	if (code)
		server_send_status(peer, frame->stream, code, text);
	arena_reset(arena);
	return 0;
}

/* ---- connections */

static void peer_free(struct peer *peer)
{
	struct rpc_server *s = peer->server;

	rpc_connection_release(&peer->conn);
	while (peer->calls)
		server_call_cancel(peer->calls);
	if (s->disconnected)
		s->disconnected(peer->number, s->disconnected_data);
	if (peer->next)
		peer->next->prev = peer->prev;
	if (peer->prev)
		peer->prev->next = peer->next;
	else
		s->peers = peer->next;
	s->n_peers--;
	free(peer);
}

static void peer_closed(const char *why, void *data)
{
	struct peer *peer = data;

	log_debug("connection ended: %s (%u calls dropped)", why, peer->n_calls);
	peer_free(peer);
}

int rpc_server_add_connection(struct rpc_server *server, int fd, struct error *err)
{
	struct peer *peer;
	int r;

	if (server->n_peers >= server->limits.connections)
		return error_set(err, EMFILE, "more than %u connections",
		                 server->limits.connections);
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return error_set(err, ENOMEM, "out of memory for a connection");
	peer->server = server;
	peer->number = ++server->last_number;
	peer->conn.on_frame = peer_frame;
	peer->conn.on_closed = peer_closed;
	peer->conn.data = peer;
	peer->conn.out_pause = server->limits.output_pause;
	peer->conn.out_limit = server->limits.output_limit;
	r = rpc_connection_start(&peer->conn, server->loop, fd, err);
	if (r < 0) {
		free(peer);
		return r;
	}
	peer->next = server->peers;
	if (peer->next)
		peer->next->prev = peer;
	server->peers = peer;
	server->n_peers++;
	if (server->held)
		rpc_connection_hold(&peer->conn, true);
	return 0;
}

static void accept_retry(struct loop_source *src, void *data)
{
	struct listener *l = data;

	loop_set_events(l->source, EPOLLIN);
}

static void on_accept(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct listener *l = data;
	struct error err = ERROR_INIT;
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (conn < 0) {
		/* Out of descriptors: the pending connection would wake us without end. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			loop_set_events(l->source, 0);
			loop_set_timer(l->retry, ACCEPT_RETRY_MS);
		}
		return;
	}
	if (rpc_server_add_connection(l->server, conn, &err) < 0) {
		log_warn("connection refused: %s", err.text);
		close(conn);
	}
}

int rpc_server_listen(struct rpc_server *server, int fd, struct error *err)
{
	struct listener *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return error_set(err, ENOMEM, "out of memory for a listener");
	l->server = server;
	r = loop_add_timer(server->loop, ACCEPT_RETRY_MS, accept_retry, l, &l->retry, err);
	if (r == 0)
		r = loop_add_fd(server->loop, fd, EPOLLIN, on_accept, l, &l->source, err);
	if (r < 0) {
		loop_source_free(l->retry);
		free(l);
		return r;
	}
	l->fd = fd;
	l->next = server->listeners;
	server->listeners = l;
	return 0;
}

void rpc_server_hold(struct rpc_server *server, bool hold)
{
	server->held = hold;
	for (struct peer *p = server->peers; p; p = p->next)
		rpc_connection_hold(&p->conn, hold);
}

unsigned int rpc_server_connections(const struct rpc_server *server)
{
	return server->n_peers;
}

/* ---- the server */

static int check_table(const ProtobufCServiceDescriptor *service, const struct rpc_handler *table,
                       struct error *err)
{
	for (const struct rpc_handler *h = table; h && h->method; h++)
		if (!protobuf_c_service_descriptor_get_method_by_name(service, h->method))
			return error_set(err, EINVAL, "%s has no method %s", service->name,
			                 h->method);
	return 0;
}

int rpc_server_add_service(struct rpc_server *server, const ProtobufCServiceDescriptor *service,
                           const struct rpc_handler *table, void *data, struct error *err)
{
	int r = check_table(service, table, err);

	if (r < 0)
		return r;
	if (server->n_services == MAX_SERVICES)
		return error_set(err, ENOSPC, "more than %u services", MAX_SERVICES);
	server->services[server->n_services++] = (struct service){service, table, data};
	return 0;
}

void rpc_server_set_gate(struct rpc_server *server, rpc_gate_fn gate, void *data)
{
	server->gate = gate;
	server->gate_data = data;
}

void rpc_server_on_disconnect(struct rpc_server *server,
                              void (*fn)(uint64_t connection, void *data), void *data)
{
	server->disconnected = fn;
	server->disconnected_data = data;
}

int rpc_server_new(struct loop *loop, const struct rpc_limits *limits, struct rpc_server **out,
                   struct error *err)
{
	static const struct rpc_limits defaults = {64, 4096, 256u << 10, 16u << 20};
	struct rpc_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_set(err, ENOMEM, "out of memory for the server");
	s->loop = loop;
	s->envelope = arena_init(RPC_ARENA_LIMIT);
	s->limits = limits ? *limits : defaults;
	if (!s->limits.connections)
		s->limits.connections = defaults.connections;
	if (!s->limits.calls)
		s->limits.calls = defaults.calls;
	if (!s->limits.output_pause)
		s->limits.output_pause = defaults.output_pause;
	if (!s->limits.output_limit)
		s->limits.output_limit = defaults.output_limit;
	r = buffer_reserve(&s->last_resort, LAST_RESORT)
	        ? loop_add_timer(loop, SCRATCH_IDLE_MS, server_scratch_idle, s, &s->scratch_timer,
	                         err)
	        : error_set(err, ENOMEM, "out of memory for the server");
	if (r < 0) {
		buffer_free(&s->last_resort);
		free(s);
		return r;
	}
	*out = s;
	return 0;
}

static void free_listeners(struct rpc_server *server)
{
	while (server->listeners) {
		struct listener *l = server->listeners;

		server->listeners = l->next;
		loop_source_free(l->source);
		loop_source_free(l->retry);
		close(l->fd);
		free(l);
	}
}

void rpc_server_flush(struct rpc_server *server, uint64_t timeout_ms)
{
	uint64_t end = loop_now_ms() + timeout_ms;

	free_listeners(server);
	for (struct peer *p = server->peers; p; p = p->next) {
		uint64_t now = loop_now_ms();

		rpc_connection_flush(&p->conn, now < end ? end - now : 0);
	}
}

void rpc_server_free(struct rpc_server *server)
{
	if (!server)
		return;
	free_listeners(server);
	while (server->peers)
		peer_free(server->peers);
	loop_source_free(server->scratch_timer);
	if (server->spare)
		arena_free(&server->spare->arena);
	free(server->spare);
	arena_free(&server->envelope);
	buffer_free(&server->scratch);
	buffer_free(&server->last_resort);
	free(server);
}
