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
#include <stdio.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/rpc/proto/agent.pb-c.h"
#include "lib/rpc/ttrpc.h"
#include "tests/agent/wire.h"

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "agent-client: %s: %s\n", what, why);
	return 1;
}

/* Puts out the payload, or with `drain` the data of a ReadStreamResponse. Its size. */
static ssize_t put_payload(const struct wire_answer *a, bool drain)
{
	_cleanup_arena_ struct arena arena = arena_init(RPC_ARENA_LIMIT);
	const Grpc__ReadStreamResponse *m;
	int r;

	if (!drain)
		return fs_write_all(1, a->result.data, a->result.size);
	m = (const void *)rpc_unpack(&grpc__read_stream_response__descriptor, &arena,
	                             a->result.data, a->result.size);
	if (!m)
		return -EBADMSG;
	r = fs_write_all(1, m->data.data, m->data.len);
	return r < 0 ? r : (ssize_t)m->data.len;
}

/* Once, or again and again until an error or an answer without data. */
static int exchange(struct wire *w, char **names, uint64_t timeout_ms, const struct buffer *payload,
                    bool drain)
{
	struct wire_answer a = WIRE_ANSWER_INIT;
	ssize_t n = 0;
	int r, code;

	do {
		r = wire_call(w, names[0], names[1], timeout_ms, payload->data, payload->size, &a);
		code = a.code;
		if (r == 0 && code)
			fprintf(stderr, "%s: %s\n", rpc_code_name(code), a.text);
		else if (r == 0)
			n = put_payload(&a, drain);
		wire_answer_free(&a);
	} while (r == 0 && drain && code == 0 && n > 0);
	if (r == 0 && n < 0)
		r = (int)n;
	if (r < 0)
		return fail(names[1], strerror(-r));
	return code ? 64 + code : 0;
}

int main(int argc, char **argv)
{
	_cleanup_buffer_ struct buffer payload = BUFFER_INIT;
	struct error err = ERROR_INIT;
	uint64_t timeout_ms = 0;
	bool drain = false;
	struct wire w;
	int r;

	if (argc > 1 && strcmp(argv[1], "--drain") == 0) {
		drain = true;
		argv++;
		argc--;
	}
	if (argc < 4 || argc > 5 || (argc == 5 && parse_u64(argv[4], &timeout_ms) < 0))
		return fail("usage", "agent-client [--drain] ADDRESS SERVICE METHOD [TIMEOUT_MS]");
	r = fs_read_fd(0, TTRPC_MAX_PAYLOAD, &payload);
	if (r < 0)
		return fail("stdin", strerror(-r));
	if (wire_open(&w, argv[1], &err) < 0)
		return fail("connect", err.text);
	r = exchange(&w, argv + 2, timeout_ms, &payload, drain);
	wire_close(&w);
	return r;
}
