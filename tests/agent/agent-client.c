/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent-client: one ttrpc call for the shell. The request's protobuf bytes come on stdin, the
 * answer's go to stdout: what they mean is said by protoc, which is not ours.
 *
 *	protoc --encode=TYPE ... | agent-client ADDRESS SERVICE METHOD [TIMEOUT_MS] | protoc
 *--decode=TYPE ...
 *
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
#include "lib/rpc/proto/ttrpc.pb-c.h"
#include "lib/rpc/ttrpc.h"

#define MAX_WAIT_MS 120000

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "agent-client: %s: %s\n", what, why);
	return 1;
}

static int send_request(int fd, const char *service, const char *method, uint64_t timeout_ms,
                        const struct buffer *payload)
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
	ttrpc_header_put(out.data, (uint32_t)size, 1, TTRPC_REQUEST, 0);
	ttrpc__request__pack(&req, out.data + TTRPC_HEADER_SIZE);
	return fs_write_all(fd, out.data, TTRPC_HEADER_SIZE + size);
}

struct answer {
	int status;
	bool there;
};

static int on_frame(const struct ttrpc_frame *frame, void *data)
{
	struct answer *a = data;
	struct arena arena = arena_init(RPC_ARENA_LIMIT);
	Ttrpc__Response *r = (Ttrpc__Response *)rpc_unpack(&ttrpc__response__descriptor, &arena,
	                                                   frame->data, frame->size);

	if (!r || frame->type != TTRPC_RESPONSE || frame->stream != 1)
		return -EBADMSG;
	a->there = true;
	if (r->status && r->status->code) {
		a->status = 64 + r->status->code;
		fprintf(stderr, "%s: %s\n", rpc_code_name(r->status->code), r->status->message);
	} else if (fs_write_all(1, r->payload.data, r->payload.len) < 0) {
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

int main(int argc, char **argv)
{
	_cleanup_buffer_ struct buffer payload = BUFFER_INIT;
	struct error err = ERROR_INIT;
	struct rpc_address address;
	struct answer a = {0};
	uint64_t timeout_ms = 0;
	int fd, r;

	if (argc < 4 || argc > 5 || (argc == 5 && parse_u64(argv[4], &timeout_ms) < 0))
		return fail("usage", "agent-client ADDRESS SERVICE METHOD [TIMEOUT_MS]");
	if (rpc_address_parse(argv[1], &address, &err) < 0)
		return fail("address", err.text);
	r = fs_read_fd(0, TTRPC_MAX_PAYLOAD, &payload);
	if (r < 0)
		return fail("stdin", strerror(-r));
	fd = rpc_dial(&address, 5000, &err);
	if (fd < 0)
		return fail("connect", err.text);
	fs_set_nonblock(fd, false);
	r = send_request(fd, argv[2], argv[3], timeout_ms, &payload);
	if (r == 0)
		r = receive(fd, &a);
	close(fd);
	if (r < 0)
		return fail(argv[3], strerror(-r));
	return a.status;
}
