/* SPDX-License-Identifier: Apache-2.0 */
/* ttrpc: framing, envelopes and status codes; see kata-containers' and containerd's ttrpc
 * PROTOCOL.md for the wire format. */
#include "lib/rpc/ttrpc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/utf8.h"
#include "lib/rpc/parts.h"
#include "lib/rpc/proto/ttrpc.pb-c.h"

/* A finished frame's buffer is kept for the next when it is at most this big. */
#define PARTIAL_KEEP    4096u
#define STATUS_TEXT_MAX 1024u /* longer ones are cut */

static const char *const code_names[] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

const char *rpc_code_name(int code)
{
	if (code < 0 || (size_t)code >= sizeof(code_names) / sizeof(code_names[0]))
		return "UNKNOWN";
	return code_names[code];
}

/* First match counts in both directions. */
static const struct {
	int errnum;
	enum rpc_code code;
} code_errnos[] = {
    {EINVAL, RPC_INVALID_ARGUMENT},   {ENOENT, RPC_NOT_FOUND},
    {EEXIST, RPC_ALREADY_EXISTS},     {EPERM, RPC_PERMISSION_DENIED},
    {EACCES, RPC_PERMISSION_DENIED},  {ETIMEDOUT, RPC_DEADLINE_EXCEEDED},
    {ETIME, RPC_DEADLINE_EXCEEDED},   {ECANCELED, RPC_CANCELLED},
    {ENOMEM, RPC_RESOURCE_EXHAUSTED}, {EMFILE, RPC_RESOURCE_EXHAUSTED},
    {EAGAIN, RPC_RESOURCE_EXHAUSTED}, {ENFILE, RPC_RESOURCE_EXHAUSTED},
    {ENOSPC, RPC_RESOURCE_EXHAUSTED}, {EBUSY, RPC_FAILED_PRECONDITION},
    {ENOSYS, RPC_UNIMPLEMENTED},      {EOPNOTSUPP, RPC_UNIMPLEMENTED},
    {ERANGE, RPC_OUT_OF_RANGE},       {ECONNRESET, RPC_UNAVAILABLE},
    {ENOTTY, RPC_UNAVAILABLE},        {ESRCH, RPC_NOT_FOUND},
};

enum rpc_code rpc_code_from_errno(int errnum)
{
	if (errnum < 0)
		errnum = -errnum;
	if (errnum == 0)
		return RPC_OK;
	for (size_t i = 0; i < sizeof(code_errnos) / sizeof(code_errnos[0]); i++)
		if (code_errnos[i].errnum == errnum)
			return code_errnos[i].code;
	return RPC_INTERNAL;
}

int rpc_code_to_errno(int code)
{
	if (code == RPC_OK)
		return 0;
	for (size_t i = 0; i < sizeof(code_errnos) / sizeof(code_errnos[0]); i++)
		if ((int)code_errnos[i].code == code)
			return code_errnos[i].errnum;
	return EIO;
}

void ttrpc_header_put(uint8_t out[TTRPC_HEADER_SIZE], uint32_t size, uint32_t stream, uint8_t type,
                      uint8_t flags)
{
	put_be32(out, size);
	put_be32(out + 4, stream);
	out[8] = type;
	out[9] = flags;
}

/* ---- frames from bytes */

static struct ttrpc_frame header_get(const uint8_t *p, size_t *length)
{
	*length = get_be32(p);
	return (struct ttrpc_frame){
	    .stream = get_be32(p + 4),
	    .type = p[8],
	    .flags = p[9],
	    .oversize = *length > TTRPC_MAX_PAYLOAD,
	};
}

/* Drops payload of an oversize frame; reports the frame once all of it has passed. */
static int skip_payload(struct ttrpc_parser *p, size_t *size, const uint8_t **bytes,
                        ttrpc_frame_fn fn, void *data)
{
	size_t n = *size < p->skip ? *size : p->skip;
	struct ttrpc_frame frame;

	p->skip -= n;
	*bytes += n;
	*size -= n;
	if (p->skip)
		return 0;
	frame = p->big;
	return fn(&frame, data);
}

/* There is no room for the begun frame: its rest is dropped, and it is told as too large. */
static int give_up(struct ttrpc_parser *p, size_t want)
{
	size_t length;

	p->big = header_get(p->partial.data, &length);
	p->big.oversize = p->big.no_memory = true;
	p->skip = want - p->partial.size;
	buffer_free(&p->partial);
	return 0;
}

/* Takes what the begun frame still needs; *whole when nothing is missing. */
static int collect(struct ttrpc_parser *p, size_t *size, const uint8_t **bytes, bool *whole)
{
	struct buffer *b = &p->partial;
	size_t want = TTRPC_HEADER_SIZE, n;

	if (b->size >= TTRPC_HEADER_SIZE)
		want += get_be32(b->data);
	n = want - b->size;
	if (n > *size)
		n = *size;
	buffer_append(b, *bytes, n);
	if (b->failed)
		return b->size >= TTRPC_HEADER_SIZE ? give_up(p, want) : -ENOMEM;
	*bytes += n;
	*size -= n;
	*whole = b->size >= TTRPC_HEADER_SIZE && b->size == TTRPC_HEADER_SIZE + get_be32(b->data);
	return 0;
}

int ttrpc_parser_feed(struct ttrpc_parser *p, const uint8_t *bytes, size_t size, ttrpc_frame_fn fn,
                      void *data)
{
	while (size > 0) {
		struct ttrpc_frame frame;
		bool whole = false;
		size_t length;
		int r;

		if (p->skip) {
			r = skip_payload(p, &size, &bytes, fn, data);
			if (r)
				return r;
			continue;
		}
		/* The usual case: a whole frame lies in the bytes as they are. */
		if (p->partial.size == 0 && size >= TTRPC_HEADER_SIZE) {
			frame = header_get(bytes, &length);
			if (!frame.oversize && size - TTRPC_HEADER_SIZE >= length) {
				frame.data = bytes + TTRPC_HEADER_SIZE;
				frame.size = length;
				bytes += TTRPC_HEADER_SIZE + length;
				size -= TTRPC_HEADER_SIZE + length;
				r = fn(&frame, data);
				if (r)
					return r;
				continue;
			}
		}
		r = collect(p, &size, &bytes, &whole);
		if (r)
			return r;
		if (p->skip || p->partial.size < TTRPC_HEADER_SIZE)
			continue;
		frame = header_get(p->partial.data, &length);
		if (frame.oversize) {
			p->big = frame;
			p->skip = length;
			buffer_clear(&p->partial);
			continue;
		}
		if (!whole)
			continue;
		frame.data = p->partial.data + TTRPC_HEADER_SIZE;
		frame.size = length;
		r = fn(&frame, data);
		if (r)
			return r;
		if (p->partial.room > PARTIAL_KEEP)
			buffer_free(&p->partial);
		else
			buffer_clear(&p->partial);
	}
	return 0;
}

void ttrpc_parser_free(struct ttrpc_parser *p)
{
	buffer_free(&p->partial);
	p->skip = 0;
}

/* ---- envelopes */

/* Puts a frame's header before what was appended since `start`, or takes that back. */
static int finish_frame(struct buffer *out, size_t start, uint32_t stream, uint8_t type)
{
	size_t payload;

	if (out->failed) {
		out->size = start;
		out->failed = false;
		return -ENOMEM;
	}
	payload = out->size - start - TTRPC_HEADER_SIZE;
	if (payload > TTRPC_MAX_PAYLOAD) {
		out->size = start;
		return -EMSGSIZE;
	}
	ttrpc_header_put(out->data + start, (uint32_t)payload, stream, type, 0);
	return 0;
}

static void put_packed(struct buffer *out, const ProtobufCMessage *message, size_t size)
{
	uint8_t *p = buffer_reserve(out, size);

	if (p)
		out->size += protobuf_c_message_pack(message, p);
}

int ttrpc_put_request(struct buffer *out, uint32_t stream, const char *service, const char *method,
                      int64_t timeout_nano, const ProtobufCMessage *request)
{
	Ttrpc__Request env = TTRPC__REQUEST__INIT;
	_cleanup_buffer_ struct buffer payload = BUFFER_INIT;
	size_t start = out->size, size = protobuf_c_message_get_packed_size(request);

	if (size > TTRPC_MAX_PAYLOAD)
		return -EMSGSIZE;
	put_packed(&payload, request, size);
	if (payload.failed)
		return -ENOMEM;
	env.service = (char *)service;
	env.method = (char *)method;
	env.timeout_nano = timeout_nano;
	env.payload.data = payload.data;
	env.payload.len = payload.size;
	buffer_fill(out, 0, TTRPC_HEADER_SIZE);
	put_packed(out, &env.base, protobuf_c_message_get_packed_size(&env.base));
	return finish_frame(out, start, stream, TTRPC_REQUEST);
}

static void put_varint(struct buffer *out, uint64_t v)
{
	uint8_t bytes[10];
	size_t n = 0;

	while (v >= 0x80) {
		bytes[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	bytes[n++] = (uint8_t)v;
	buffer_append(out, bytes, n);
}

/* Written by hand, not through Ttrpc__Response: output of containers passes here, and this
 * way the message is packed in its place, without a copy of the payload in between. */
int ttrpc_put_reply(struct buffer *out, uint32_t stream, const ProtobufCMessage *reply)
{
	/* field 1 (status), length 0: code 0, as Kata's own agent always sends it */
	static const uint8_t status_ok[] = {0x0a, 0x00};
	size_t start = out->size, size = reply ? protobuf_c_message_get_packed_size(reply) : 0;

	if (size > TTRPC_MAX_PAYLOAD)
		return -EMSGSIZE;
	buffer_reserve(out, TTRPC_HEADER_SIZE + sizeof(status_ok) + 6 + size);
	buffer_fill(out, 0, TTRPC_HEADER_SIZE);
	buffer_append(out, status_ok, sizeof(status_ok));
	if (size > 0) {
		put_varint(out, 2 << 3 | 2); /* field 2 (payload), length-delimited */
		put_varint(out, size);
		put_packed(out, reply, size);
	}
	return finish_frame(out, start, stream, TTRPC_RESPONSE);
}

_Static_assert(TTRPC_BYTES_PREFIX == TTRPC_HEADER_SIZE + 2u + 2u * (1u + 5u), "room for all");

uint8_t *ttrpc_bytes_room(struct buffer *out, size_t max)
{
	uint8_t *p =
	    max <= TTRPC_MAX_PAYLOAD ? buffer_reserve(out, TTRPC_BYTES_PREFIX + max) : NULL;

	return p ? p + TTRPC_BYTES_PREFIX : NULL;
}

/* Writes a tag and a length so that they end at `end`; returns where they begin. */
static uint8_t *put_before(uint8_t *end, unsigned int field, size_t length)
{
	uint8_t bytes[6];
	size_t n = 0;

	bytes[n++] = (uint8_t)(field << 3 | 2); /* length-delimited */
	for (; length >= 0x80; length >>= 7)
		bytes[n++] = (uint8_t)(length | 0x80);
	bytes[n++] = (uint8_t)length;
	return memcpy(end - n, bytes, n);
}

size_t ttrpc_put_bytes(uint8_t *data, size_t size, uint32_t stream, unsigned int field,
                       const uint8_t **frame)
{
	uint8_t *p = data, *end = data + size;

	if (size > 0) { /* proto3: what is empty is not there */
		p = put_before(p, field, size);
		p = put_before(p, 2, (size_t)(end - p)); /* Response.payload */
	}
	p -= 2;
	p[0] = 0x0a; /* Response.status, empty: OK, as in ttrpc_put_reply() */
	p[1] = 0;
	ttrpc_header_put(p - TTRPC_HEADER_SIZE, (uint32_t)(end - p), stream, TTRPC_RESPONSE, 0);
	*frame = p - TTRPC_HEADER_SIZE;
	return (size_t)(end - *frame);
}

int ttrpc_put_status(struct buffer *out, uint32_t stream, int code, const char *message)
{
	Ttrpc__Response env = TTRPC__RESPONSE__INIT;
	Ttrpc__Status status = TTRPC__STATUS__INIT;
	size_t start = out->size;
	char text[STATUS_TEXT_MAX];

	/* Texts quote what a peer sent. A string that is not UTF-8 makes the whole answer
	 * unreadable for a peer that checks it (protobuf, "Scalar Value Types"). */
	snprintf(text, sizeof(text), "%s", message);
	utf8_clean(text);
	status.code = code;
	status.message = text;
	env.status = &status;
	buffer_fill(out, 0, TTRPC_HEADER_SIZE);
	put_packed(out, &env.base, protobuf_c_message_get_packed_size(&env.base));
	return finish_frame(out, start, stream, TTRPC_RESPONSE);
}

/* ---- decoding in an arena */

static void *arena_alloc_cb(void *data, size_t size)
{
	return arena_alloc(data, size);
}

static void arena_free_cb(void *data, void *pointer)
{
}

ProtobufCMessage *rpc_unpack(const ProtobufCMessageDescriptor *type, struct arena *arena,
                             const uint8_t *data, size_t size)
{
	ProtobufCAllocator allocator = {arena_alloc_cb, arena_free_cb, arena};
	_cleanup_buffer_ struct buffer whole = BUFFER_INIT;
	int r = rpc_join_parts(type, data, size, &whole);

	if (r < 0)
		return NULL;
	if (r > 0)
		return protobuf_c_message_unpack(type, &allocator, whole.size, whole.data);
	return protobuf_c_message_unpack(type, &allocator, size, data);
}
