/* SPDX-License-Identifier: Apache-2.0 */
/* ttrpc: frames in every cut, envelopes against recorded and hand-written bytes. */
#include "lib/rpc/ttrpc.h"

#include <fcntl.h>

#include "lib/base/fs.h"
#include "lib/rpc/proto/agent.pb-c.h"
#include "lib/rpc/proto/health.pb-c.h"
#include "lib/rpc/proto/ttrpc.pb-c.h"
#include "tests/unit/check.h"

struct seen {
	unsigned int n;
	struct ttrpc_frame last;
	uint8_t data[64];
	int answer;
};

static int see(const struct ttrpc_frame *frame, void *data)
{
	struct seen *s = data;

	s->n++;
	s->last = *frame;
	if (frame->size <= sizeof(s->data) && frame->size > 0)
		memcpy(s->data, frame->data, frame->size);
	return s->answer;
}

/* Health.Check as a Kata runtime sends it without a deadline (protocol notes A.2). */
static const uint8_t check_frame[] = {
    0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x01, 0x01, 0x00, 0x0a, 0x0b, 'g', 'r', 'p',
    'c',  '.',  'H',  'e',  'a',  'l',  't',  'h',  0x12, 0x05, 'C',  'h',  'e', 'c', 'k',
};

TEST(request_bytes)
{
	Grpc__CheckRequest req = GRPC__CHECK_REQUEST__INIT;
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;

	check_int(ttrpc_put_request(&out, 1, "grpc.Health", "Check", 0, &req.base), 0);
	check_int(out.size, sizeof(check_frame));
	check_mem(out.data, check_frame, sizeof(check_frame));
}

TEST(recorded_check_is_what_we_send)
{
	_cleanup_buffer_ struct buffer want = BUFFER_INIT;

	check_int(fs_read_file(AT_FDCWD, "tests/data/kata-wire/frame_check.bin", 1000, &want, NULL),
	          0);
	check_int(want.size, sizeof(check_frame));
	check_mem(want.data, check_frame, sizeof(check_frame));
}

TEST(reply_bytes)
{
	static const uint8_t serving[] = {0, 0, 0, 6, 0, 0, 0, 5, 2, 0, 0x0a, 0, 0x12, 2, 0x08, 1};
	static const uint8_t empty[] = {0, 0, 0, 2, 0, 0, 0, 7, 2, 0, 0x0a, 0};
	Grpc__HealthCheckResponse m = GRPC__HEALTH_CHECK_RESPONSE__INIT;
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;

	m.status = GRPC__SERVING_STATUS__SERVING;
	check_int(ttrpc_put_reply(&out, 5, &m.base), 0);
	check_int(out.size, sizeof(serving));
	check_mem(out.data, serving, sizeof(serving));
	buffer_clear(&out);
	check_int(ttrpc_put_reply(&out, 7, NULL), 0);
	check_int(out.size, sizeof(empty));
	check_mem(out.data, empty, sizeof(empty));
}

TEST(bytes_without_a_copy)
{
	/* the same as a ReadStreamResponse that is packed */
	for (size_t n = 0; n < 300; n += n < 4 ? 1 : 41) {
		_cleanup_buffer_ struct buffer packed = BUFFER_INIT, placed = BUFFER_INIT;
		Grpc__ReadStreamResponse m = GRPC__READ_STREAM_RESPONSE__INIT;
		uint8_t data[300], *room;
		const uint8_t *frame;

		memset(data, 'x', n);
		m.data.data = data;
		m.data.len = n;
		check_int(ttrpc_put_reply(&packed, 77, n ? &m.base : NULL), 0);
		room = ttrpc_bytes_room(&placed, 300);
		check(room != NULL);
		memcpy(room, data, n);
		check_int(ttrpc_put_bytes(room, n, 77, 1, &frame), packed.size);
		check_mem(frame, packed.data, packed.size);
	}
}

TEST(status_bytes)
{
	static const uint8_t want[] = {0, 0,    0, 8,    0, 0,    0, 9,   2,
	                               0, 0x0a, 6, 0x08, 5, 0x12, 2, 'n', 'o'};
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;

	check_int(ttrpc_put_status(&out, 9, RPC_NOT_FOUND, "no"), 0);
	check_int(out.size, sizeof(want));
	check_mem(out.data, want, sizeof(want));
}

TEST(frames_in_every_cut)
{
	uint8_t two[2 * sizeof(check_frame)];

	memcpy(two, check_frame, sizeof(check_frame));
	memcpy(two + sizeof(check_frame), check_frame, sizeof(check_frame));
	two[sizeof(check_frame) + 7] = 3;
	for (size_t a = 0; a <= sizeof(two); a++) {
		for (size_t b = a; b <= sizeof(two); b++) {
			struct ttrpc_parser p = {0};
			struct seen s = {0};

			check_int(ttrpc_parser_feed(&p, two, a, see, &s), 0);
			check_int(ttrpc_parser_feed(&p, two + a, b - a, see, &s), 0);
			check_int(ttrpc_parser_feed(&p, two + b, sizeof(two) - b, see, &s), 0);
			check_int(s.n, 2);
			check_int(s.last.stream, 3);
			check_int(s.last.type, TTRPC_REQUEST);
			check_int(s.last.size, sizeof(check_frame) - TTRPC_HEADER_SIZE);
			check_mem(s.data, check_frame + TTRPC_HEADER_SIZE, s.last.size);
			ttrpc_parser_free(&p);
		}
	}
}

TEST(empty_payload)
{
	static const uint8_t frame[] = {0, 0, 0, 0, 0, 0, 0, 9, 1, 0};
	struct ttrpc_parser p = {0};
	struct seen s = {0};

	for (size_t i = 0; i < sizeof(frame); i++)
		check_int(ttrpc_parser_feed(&p, frame + i, 1, see, &s), 0);
	check_int(s.n, 1);
	check_int(s.last.size, 0);
	ttrpc_parser_free(&p);
}

TEST(oversize_is_drained)
{
	uint8_t big[4096] = {0};
	struct ttrpc_parser p = {0};
	struct seen s = {0};
	size_t left = TTRPC_MAX_PAYLOAD + 1;

	ttrpc_header_put(big, TTRPC_MAX_PAYLOAD + 1, 11, TTRPC_REQUEST, 0);
	check_int(ttrpc_parser_feed(&p, big, TTRPC_HEADER_SIZE, see, &s), 0);
	check_int(s.n, 0);
	memset(big, 0xff, sizeof(big));
	while (left > 0) {
		size_t n = left < sizeof(big) ? left : sizeof(big);

		check_int(ttrpc_parser_feed(&p, big, n, see, &s), 0);
		left -= n;
		check(p.partial.room <= 4096);
	}
	check_int(s.n, 1);
	check(s.last.oversize);
	check_int(s.last.stream, 11);
	check_int(ttrpc_parser_feed(&p, check_frame, sizeof(check_frame), see, &s), 0);
	check_int(s.n, 2);
	check(!s.last.oversize);
	ttrpc_parser_free(&p);
}

TEST(callback_ends_the_feed)
{
	struct ttrpc_parser p = {0};
	struct seen s = {.answer = 7};
	uint8_t two[2 * sizeof(check_frame)];

	memcpy(two, check_frame, sizeof(check_frame));
	memcpy(two + sizeof(check_frame), check_frame, sizeof(check_frame));
	check_int(ttrpc_parser_feed(&p, two, sizeof(two), see, &s), 7);
	check_int(s.n, 1);
	ttrpc_parser_free(&p);
}

TEST(too_large_is_refused)
{
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	char *big = malloc(TTRPC_MAX_PAYLOAD + 1);

	check(big != NULL);
	memset(big, 'x', TTRPC_MAX_PAYLOAD);
	big[TTRPC_MAX_PAYLOAD] = '\0';
	m.value = big;
	buffer_str(&out, "abc");
	check_int(ttrpc_put_reply(&out, 1, &m.base), -EMSGSIZE);
	check_int(ttrpc_put_request(&out, 1, "s", "m", 0, &m.base), -EMSGSIZE);
	check_str(buffer_cstr(&out), "abc");
	check(!out.failed);
	free(big);
}

TEST(arena_bounds_a_decoded_message)
{
	/* 4,000 empty KeyValues of 2 bytes weigh far more in memory. */
	_cleanup_buffer_ struct buffer wire = BUFFER_INIT;
	struct arena arena = arena_init(16384);

	for (int i = 0; i < 4000; i++)
		buffer_append(&wire, "\x2a\x00", 2);
	check(!rpc_unpack(&ttrpc__request__descriptor, &arena, wire.data, wire.size));
	check(arena.failed);
	check(arena.used <= 16384);
	arena_free(&arena);
	arena = arena_init(RPC_ARENA_LIMIT);
	check(rpc_unpack(&ttrpc__request__descriptor, &arena, wire.data, wire.size) != NULL);
	arena_free(&arena);
}

TEST(codes)
{
	check_str(rpc_code_name(5), "NOT_FOUND");
	check_str(rpc_code_name(14), "UNAVAILABLE");
	check_str(rpc_code_name(99), "UNKNOWN");
	check_int(rpc_code_from_errno(-ENOENT), RPC_NOT_FOUND);
	check_int(rpc_code_from_errno(EIO), RPC_INTERNAL);
	check_int(rpc_code_to_errno(RPC_NOT_FOUND), ENOENT);
	check_int(rpc_code_to_errno(RPC_INTERNAL), EIO);
}

TEST_MAIN()
