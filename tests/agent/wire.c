/* SPDX-License-Identifier: Apache-2.0 */
/* wire: frames and envelopes round bytes from elsewhere. */
#include "tests/agent/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/rpc/address.h"
#include "lib/rpc/proto/ttrpc.pb-c.h"
#include "lib/rpc/ttrpc.h"

int wire_open(struct wire *w, const char *address, struct error *err)
{
	struct rpc_address a;
	int r = rpc_address_parse(address, &a, err);

	*w = (struct wire){-1, 0};
	if (r == 0)
		r = rpc_dial(&a, 5000, err);
	if (r < 0)
		return r;
	w->fd = r;
	fs_set_nonblock(w->fd, false);
	return 0;
}

void wire_close(struct wire *w)
{
	close_fd(&w->fd);
	w->stream = 0;
}

void wire_answer_free(struct wire_answer *answer)
{
	buffer_free(&answer->result);
	*answer = (struct wire_answer)WIRE_ANSWER_INIT;
}

static int send_request(const struct wire *w, const char *service, const char *method,
                        uint64_t timeout_ms, const void *payload, size_t payload_size)
{
	Ttrpc__Request req = TTRPC__REQUEST__INIT;
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	size_t size;

	req.service = (char *)service;
	req.method = (char *)method;
	req.payload.data = (uint8_t *)payload;
	req.payload.len = payload_size;
	req.timeout_nano = (int64_t)timeout_ms * 1000000;
	size = ttrpc__request__get_packed_size(&req);
	if (!buffer_reserve(&out, TTRPC_HEADER_SIZE + size))
		return -ENOMEM;
	ttrpc_header_put(out.data, (uint32_t)size, w->stream, TTRPC_REQUEST, 0);
	ttrpc__request__pack(&req, out.data + TTRPC_HEADER_SIZE);
	return fs_write_all(w->fd, out.data, TTRPC_HEADER_SIZE + size);
}

struct receiving {
	uint32_t stream;
	bool there;
	struct wire_answer *answer;
};

static int on_frame(const struct ttrpc_frame *frame, void *data)
{
	struct receiving *in = data;
	struct wire_answer *a = in->answer;
	_cleanup_arena_ struct arena arena = arena_init(RPC_ARENA_LIMIT);
	Ttrpc__Response *r = (Ttrpc__Response *)rpc_unpack(&ttrpc__response__descriptor, &arena,
	                                                   frame->data, frame->size);

	if (!r || frame->type != TTRPC_RESPONSE || frame->stream != in->stream)
		return -EBADMSG;
	in->there = true;
	if (r->status && r->status->code) {
		a->code = r->status->code;
		snprintf(a->text, sizeof(a->text), "%s", r->status->message);
	} else {
		buffer_append(&a->result, r->payload.data, r->payload.len);
	}
	return 1;
}

static int receive(int fd, struct receiving *in)
{
	struct ttrpc_parser parser = {0};
	int r = 0;

	while (!in->there && r == 0) {
		struct pollfd p = {fd, POLLIN, 0};
		uint8_t bytes[65536];
		ssize_t n;

		if (poll(&p, 1, WIRE_WAIT_MS) <= 0)
			r = -ETIMEDOUT;
		else if ((n = recv(fd, bytes, sizeof(bytes), 0)) <= 0)
			r = n == 0 ? -ECONNRESET : -errno;
		else
			r = ttrpc_parser_feed(&parser, bytes, (size_t)n, on_frame, in);
	}
	ttrpc_parser_free(&parser);
	return r > 0 ? 0 : r;
}

int wire_call(struct wire *w, const char *service, const char *method, uint64_t timeout_ms,
              const void *payload, size_t size, struct wire_answer *answer)
{
	struct receiving in = {.answer = answer};
	int r;

	*answer = (struct wire_answer)WIRE_ANSWER_INIT;
	w->stream += w->stream ? 2 : 1;
	in.stream = w->stream;
	r = send_request(w, service, method, timeout_ms, payload, size);
	return r < 0 ? r : receive(w->fd, &in);
}
