/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent-client: one ttrpc call for the shell. The request's protobuf bytes come on stdin, the
 * answer's go to stdout: what they mean is said by protoc, which is not ours.
 *
 *	protoc --encode=TYPE ... | agent-client ADDRESS SERVICE METHOD [TIMEOUT_MS] | protoc
 *--decode=TYPE ...
 *
 * With --drain it repeats a ReadStdout or ReadStderr until the end and puts out the data alone.
 * Exit status: 0, or 64 plus the status code (its text is on stderr), or 1 without an answer.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/rpc/address.h"
#include "lib/rpc/proto/agent.pb-c.h"
#include "lib/rpc/proto/ttrpc.pb-c.h"
#include "lib/rpc/ttrpc.h"

#define MAX_WAIT_MS 120000

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "agent-client: %s: %s\n", what, why);
	return 1;
}

static int send_request(int fd, uint32_t stream, const char *service, const char *method,
                        uint64_t timeout_ms, const struct buffer *payload)
{
	Ttrpc__Request req = TTRPC__REQUEST__INIT;
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	size_t size;

	req.service = (char *)service;
	req.method = (char *)method;
	req.payload.data = payload->data;
	req.payload.len = payload->size;
	req.timeout_nano = (int64_t)timeout_ms * 1000000;
	size = ttrpc__request__get_packed_size(&req);
	if (!buffer_reserve(&out, TTRPC_HEADER_SIZE + size))
		return -ENOMEM;
	ttrpc_header_put(out.data, (uint32_t)size, stream, TTRPC_REQUEST, 0);
	ttrpc__request__pack(&req, out.data + TTRPC_HEADER_SIZE);
	return fs_write_all(fd, out.data, TTRPC_HEADER_SIZE + size);
}

struct answer {
	uint32_t stream;
	int status;
	bool there;
	bool drain; /* the payload is a ReadStreamResponse whose data is wanted */
	size_t size;
};

static int put_payload(struct answer *a, struct arena *arena, const ProtobufCBinaryData *payload)
{
	Grpc__ReadStreamResponse *m;

	if (!a->drain)
		return fs_write_all(1, payload->data, payload->len);
	m = (Grpc__ReadStreamResponse *)rpc_unpack(&grpc__read_stream_response__descriptor, arena,
	                                           payload->data, payload->len);
	if (!m)
		return -EBADMSG;
	a->size = m->data.len;
	return fs_write_all(1, m->data.data, m->data.len);
}

static int on_frame(const struct ttrpc_frame *frame, void *data)
{
	struct answer *a = data;
	struct arena arena = arena_init(RPC_ARENA_LIMIT);
	Ttrpc__Response *r = (Ttrpc__Response *)rpc_unpack(&ttrpc__response__descriptor, &arena,
	                                                   frame->data, frame->size);

	if (!r || frame->type != TTRPC_RESPONSE || frame->stream != a->stream)
		return -EBADMSG;
	a->there = true;
	if (r->status && r->status->code) {
		a->status = 64 + r->status->code;
		fprintf(stderr, "%s: %s\n", rpc_code_name(r->status->code), r->status->message);
	} else if (put_payload(a, &arena, &r->payload) < 0) {
		a->status = 1;
	}
	arena_free(&arena);
	return 1;
}

static int receive(int fd, struct answer *a)
{
	struct ttrpc_parser parser = {0};
	int r = 0;

	while (!a->there && r == 0) {
		struct pollfd p = {fd, POLLIN, 0};
		uint8_t in[65536];
		ssize_t n;

		if (poll(&p, 1, MAX_WAIT_MS) <= 0)
			r = -ETIMEDOUT;
		else if ((n = recv(fd, in, sizeof(in), 0)) <= 0)
			r = n == 0 ? -ECONNRESET : -errno;
		else
			r = ttrpc_parser_feed(&parser, in, (size_t)n, on_frame, a);
	}
	ttrpc_parser_free(&parser);
	return r > 0 ? 0 : r;
}

/* Again and again until an error or an answer without data. */
static int exchange(int fd, const char *service, const char *method, uint64_t timeout_ms,
                    const struct buffer *payload, struct answer *a)
{
	int r;

	a->stream = 1;
	do {
		a->there = false;
		a->size = 0;
		r = send_request(fd, a->stream, service, method, timeout_ms, payload);
		if (r == 0)
			r = receive(fd, a);
		a->stream += 2;
	} while (r == 0 && a->drain && a->status == 0 && a->size > 0);
	return r;
}

int main(int argc, char **argv)
{
	_cleanup_buffer_ struct buffer payload = BUFFER_INIT;
	struct error err = ERROR_INIT;
	struct rpc_address address;
	struct answer a = {0};
	uint64_t timeout_ms = 0;
	int fd, r;

	if (argc > 1 && strcmp(argv[1], "--drain") == 0) {
		a.drain = true;
		argv++;
		argc--;
	}
	if (argc < 4 || argc > 5 || (argc == 5 && parse_u64(argv[4], &timeout_ms) < 0))
		return fail("usage", "agent-client [--drain] ADDRESS SERVICE METHOD [TIMEOUT_MS]");
	if (rpc_address_parse(argv[1], &address, &err) < 0)
		return fail("address", err.text);
	r = fs_read_fd(0, TTRPC_MAX_PAYLOAD, &payload);
	if (r < 0)
		return fail("stdin", strerror(-r));
	fd = rpc_dial(&address, 5000, &err);
	if (fd < 0)
		return fail("connect", err.text);
	fs_set_nonblock(fd, false);
	r = exchange(fd, argv[2], argv[3], timeout_ms, &payload, &a);
	close(fd);
	if (r < 0)
		return fail(argv[3], strerror(-r));
	return a.status;
}
