/* SPDX-License-Identifier: Apache-2.0 */
/* client: pending calls by stream id, and the same without a loop. */
#include "lib/rpc/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/rpc/connection.h"
#include "lib/rpc/proto/ttrpc.pb-c.h"

#define MESSAGE_MAX 4096u /* bytes of a peer's error text */
#define GRACE_MS    1000u /* so that the peer's own "timeout" comes first */

struct pending {
	struct pending *next;
	struct rpc_client *client;
	uint32_t stream;
	const ProtobufCMessageDescriptor *output;
	struct loop_source *timer;
	rpc_result_fn fn;
	void *data;
};

struct rpc_client {
	struct loop *loop;
	struct rpc_connection conn;
	struct pending *pending;
	unsigned int n_pending;
	uint32_t next_stream;
	bool ended;
	bool *freed; /* set by rpc_client_free() while we are in callbacks */
	rpc_closed_fn closed;
	void *data;
};

/* Decodes an answer. What result points to lies in the arena. */
static void decode_answer(const ProtobufCMessageDescriptor *output, const struct ttrpc_frame *frame,
                          struct arena *arena, struct rpc_result *result)
{
	Ttrpc__Response *env;

	*result = (struct rpc_result){RPC_INTERNAL, "the answer cannot be decoded", NULL};
	if (frame->oversize)
		return;
	env = (Ttrpc__Response *)rpc_unpack(&ttrpc__response__descriptor, arena, frame->data,
	                                    frame->size);
	if (!env)
		return;
	if (env->status && env->status->code != RPC_OK) {
		result->code = env->status->code;
		result->message = env->status->message;
		if (strlen(env->status->message) > MESSAGE_MAX)
			env->status->message[MESSAGE_MAX] = '\0';
		return;
	}
	result->reply = rpc_unpack(output, arena, env->payload.data, env->payload.len);
	if (result->reply) {
		result->code = RPC_OK;
		result->message = "";
	}
}

/* The method, when request is of its input type. */
static const ProtobufCMethodDescriptor *find_method(const ProtobufCServiceDescriptor *service,
                                                    const char *method,
                                                    const ProtobufCMessage *request,
                                                    struct error *err)
{
	const ProtobufCMethodDescriptor *m =
	    protobuf_c_service_descriptor_get_method_by_name(service, method);

	if (m && request->descriptor == m->input)
		return m;
	error_set(err, EINVAL, "%s/%s: %s", service->name, method,
	          m ? "request of another type" : "no such method");
	return NULL;
}

static int request_error(int r, const char *method, struct error *err)
{
	return error_set(err, -r, "%s: %s", method,
	                 r == -EMSGSIZE ? "the request is larger than 4 MiB"
	                                : "out of memory for the request");
}

static int64_t timeout_nano(uint64_t ms)
{
	return ms > INT64_MAX / 1000000 ? INT64_MAX : (int64_t)ms * 1000000;
}

/* ---- on a loop */

/* Unlinks and frees p, then tells its result. */
static void pending_finish(struct pending *p, const struct rpc_result *result)
{
	struct rpc_client *c = p->client;
	rpc_result_fn fn = p->fn;
	void *data = p->data;

	for (struct pending **at = &c->pending; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			break;
		}
	}
	c->n_pending--;
	loop_source_free(p->timer);
	free(p);
	fn(result, data);
}

static int client_frame(const struct ttrpc_frame *frame, void *data)
{
	struct rpc_client *c = data;
	_cleanup_arena_ struct arena arena = arena_init(RPC_ARENA_LIMIT);
	struct rpc_result result;
	struct pending *p = c->pending;
	bool freed = false;

	if (frame->type != TTRPC_RESPONSE)
		return 0;
	while (p && p->stream != frame->stream)
		p = p->next;
	if (!p)
		return 0; /* given up on */
	decode_answer(p->output, frame, &arena, &result);
	c->freed = &freed;
	pending_finish(p, &result);
	if (freed)
		return 1;
	c->freed = NULL;
	return 0;
}

static void client_closed(const char *why, void *data)
{
	struct rpc_client *c = data;
	struct rpc_result result = {RPC_UNAVAILABLE, why, NULL};
	bool freed = false;

	c->ended = true;
	c->freed = &freed;
	while (!freed && c->pending)
		pending_finish(c->pending, &result);
	if (freed)
		return;
	c->freed = NULL;
	if (c->closed)
		c->closed(c, why, c->data);
}

static void pending_timeout(struct loop_source *src, void *data)
{
	struct rpc_result result = {RPC_DEADLINE_EXCEEDED, "no answer in time", NULL};

	pending_finish(data, &result);
}

int rpc_client_new(struct loop *loop, int fd, rpc_closed_fn closed, void *data,
                   struct rpc_client **out, struct error *err)
{
	struct rpc_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_set(err, ENOMEM, "out of memory for a client");
	c->loop = loop;
	c->next_stream = 1;
	c->closed = closed;
	c->data = data;
	c->conn.on_frame = client_frame;
	c->conn.on_closed = client_closed;
	c->conn.data = c;
	r = rpc_connection_start(&c->conn, loop, fd, err);
	if (r < 0) {
		free(c);
		return r;
	}
	*out = c;
	return 0;
}

void rpc_client_free(struct rpc_client *client)
{
	if (!client)
		return;
	if (client->freed)
		*client->freed = true;
	rpc_connection_release(&client->conn);
	while (client->pending) {
		struct pending *p = client->pending;

		client->pending = p->next;
		loop_source_free(p->timer);
		free(p);
	}
	free(client);
}

static int send_request(struct rpc_client *client, const ProtobufCServiceDescriptor *service,
                        const char *method, const ProtobufCMessage *request, uint64_t timeout_ms,
                        struct error *err)
{
	_cleanup_buffer_ struct buffer frame = BUFFER_INIT;
	int r = ttrpc_put_request(&frame, client->next_stream, service->name, method,
	                          timeout_nano(timeout_ms), request);

	if (r < 0)
		return request_error(r, method, err);
	rpc_connection_send(&client->conn, frame.data, frame.size);
	client->next_stream += 2;
	return 0;
}

int rpc_client_call(struct rpc_client *client, const ProtobufCServiceDescriptor *service,
                    const char *method, const ProtobufCMessage *request, uint64_t timeout_ms,
                    rpc_result_fn fn, void *data, struct error *err)
{
	const ProtobufCMethodDescriptor *m = find_method(service, method, request, err);
	struct pending *p;
	int r = 0;

	if (!m)
		return -EINVAL;
	if (client->ended)
		return error_set(err, ENOTCONN, "%s: the connection has ended", method);
	p = calloc(1, sizeof(*p));
	if (!p)
		return error_set(err, ENOMEM, "%s: out of memory", method);
	p->client = client;
	p->stream = client->next_stream;
	p->output = m->output;
	p->fn = fn;
	p->data = data;
	if (timeout_ms)
		r = loop_add_timer(client->loop, timeout_ms + GRACE_MS, pending_timeout, p,
		                   &p->timer, err);
	if (r == 0)
		r = send_request(client, service, method, request, timeout_ms, err);
	if (r < 0) {
		loop_source_free(p->timer);
		free(p);
		return r;
	}
	p->next = client->pending;
	client->pending = p;
	client->n_pending++;
	return 0;
}

unsigned int rpc_client_pending(const struct rpc_client *client)
{
	return client->n_pending;
}

/* ---- one at a time */

void rpc_reply_free(struct rpc_reply *reply)
{
	free(reply->text);
	reply->text = NULL;
	reply->message = NULL;
	arena_free(&reply->arena);
}

/* Waits for `events`; 0 or -ETIMEDOUT. end is loop_now_ms() time, 0: for ever. */
static int wait_fd(int fd, short events, uint64_t end)
{
	struct pollfd p = {fd, events, 0};

	for (;;) {
		uint64_t now = loop_now_ms();
		int left = -1, n;

		if (end)
			left = now >= end ? 0 : end - now > 60000 ? 60000 : (int)(end - now);
		n = poll(&p, 1, left);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (end && loop_now_ms() >= end)
			return -ETIMEDOUT;
	}
}

static int send_all(int fd, const uint8_t *data, size_t size, uint64_t end)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = send(fd, data + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		int r;

		if (n >= 0) {
			done += (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return errno == EPIPE ? -ECONNRESET : -errno;
		r = wait_fd(fd, POLLOUT, end);
		if (r < 0)
			return r;
	}
	return 0;
}

static int recv_all(int fd, uint8_t *data, size_t size, uint64_t end)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n;
		int r = wait_fd(fd, POLLIN, end);

		if (r < 0)
			return r;
		n = recv(fd, data + done, size - done, MSG_DONTWAIT);
		if (n == 0)
			return -ECONNRESET;
		if (n > 0)
			done += (size_t)n;
		else if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return 0;
}

/* Reads frames until the answer to `stream`, whose payload is put into `in`. */
static int recv_answer(int fd, uint32_t stream, uint64_t end, struct buffer *in,
                       struct ttrpc_frame *frame)
{
	for (;;) {
		uint8_t header[TTRPC_HEADER_SIZE], *p;
		size_t size;
		int r = recv_all(fd, header, sizeof(header), end);

		if (r < 0)
			return r;
		size = get_be32(header);
		if (size > TTRPC_MAX_PAYLOAD)
			return -EBADMSG;
		buffer_clear(in);
		p = buffer_reserve(in, size);
		if (!p)
			return -ENOMEM;
		r = recv_all(fd, p, size, end);
		if (r < 0)
			return r;
		*frame = (struct ttrpc_frame){
		    .stream = get_be32(header + 4),
		    .type = header[8],
		    .data = p,
		    .size = size,
		};
		if (frame->type == TTRPC_RESPONSE && frame->stream == stream)
			return 0;
	}
}

int rpc_call_wait(int fd, uint32_t *stream, const ProtobufCServiceDescriptor *service,
                  const char *method, const ProtobufCMessage *request, uint64_t timeout_ms,
                  struct rpc_reply *reply, struct error *err)
{
	const ProtobufCMethodDescriptor *m = find_method(service, method, request, err);
	_cleanup_buffer_ struct buffer buf = BUFFER_INIT;
	uint64_t end = timeout_ms ? loop_now_ms() + timeout_ms : 0;
	uint32_t id = *stream * 2 + 1;
	struct ttrpc_frame frame = {0};
	struct rpc_result result;
	int r;

	*reply = (struct rpc_reply){.arena = arena_init(RPC_ARENA_LIMIT)};
	if (!m)
		return -EINVAL;
	r = ttrpc_put_request(&buf, id, service->name, method, timeout_nano(timeout_ms), request);
	if (r < 0)
		return request_error(r, method, err);
	(*stream)++;
	r = send_all(fd, buf.data, buf.size, end);
	if (r == 0)
		r = recv_answer(fd, id, end ? end + GRACE_MS : 0, &buf, &frame);
	if (r < 0)
		return error_errno(err, -r, "%s: no answer from the agent", method);
	decode_answer(m->output, &frame, &reply->arena, &result);
	reply->code = result.code;
	reply->message = (ProtobufCMessage *)result.reply;
	if (result.code != RPC_OK) {
		reply->text = strdup(result.message);
		if (!reply->text)
			return error_set(err, ENOMEM, "%s: out of memory", method);
	}
	return 0;
}

int rpc_call_wait_ok(int fd, uint32_t *stream, const ProtobufCServiceDescriptor *service,
                     const char *method, const ProtobufCMessage *request, uint64_t timeout_ms,
                     struct rpc_reply *reply, struct error *err)
{
	int r = rpc_call_wait(fd, stream, service, method, request, timeout_ms, reply, err);

	if (r < 0 || reply->code == RPC_OK)
		return r;
	return error_set(err, rpc_code_to_errno(reply->code), "%s: %s: %s", method,
	                 rpc_code_name(reply->code), reply->text);
}
