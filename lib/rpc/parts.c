/* SPDX-License-Identifier: Apache-2.0 */
/* parts: looks first, since no sender that we know of splits; copies only what is split. */
#include "lib/rpc/parts.h"

#include <errno.h>
#include <string.h>

/* Types are as deep as a .proto nests them (8 levels in ours), not as deep as a sender likes. */
#define MAX_DEPTH  16
#define MAX_FIELDS 64 /* of a type that is looked at; the largest of ours has 22 */

enum wire { WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES, WIRE_FIXED32 = 5 };

struct field {
	const uint8_t *start; /* of the tag */
	size_t size;          /* with the tag */
	const uint8_t *value; /* of WIRE_BYTES */
	size_t value_size;
	uint32_t id;
	unsigned int wire;
};

static uint64_t read_varint(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t byte = reader_u8(r);

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	r->failed = true;
	return 0;
}

static void put_varint(struct buffer *out, uint64_t v)
{
	uint8_t bytes[10];
	size_t n = 0;

	do {
		bytes[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
	buffer_append(out, bytes, n);
}

/* False at the end, and where r->failed. */
static bool next_field(struct reader *r, struct field *f)
{
	uint64_t tag;

	if (reader_left(r) == 0 || r->failed)
		return false;
	*f = (struct field){.start = r->p};
	tag = read_varint(r);
	f->id = (uint32_t)(tag >> 3);
	f->wire = (unsigned int)(tag & 7);
	if (tag >> 32 || f->id == 0) {
		r->failed = true;
		return false;
	}
	switch (f->wire) {
	case WIRE_VARINT:
		read_varint(r);
		break;
	case WIRE_FIXED64:
		reader_skip(r, 8);
		break;
	case WIRE_FIXED32:
		reader_skip(r, 4);
		break;
	case WIRE_BYTES:
		f->value_size = read_varint(r);
		f->value = reader_bytes(r, f->value_size);
		break;
	default: /* groups are of proto2 */
		r->failed = true;
	}
	f->size = (size_t)(r->p - f->start);
	return !r->failed;
}

/* The number of a sub-message's field in its type; -1: another kind of field, or unknown. */
static int message_field(const ProtobufCMessageDescriptor *type, const struct field *f)
{
	const ProtobufCFieldDescriptor *d = protobuf_c_message_descriptor_get_field(type, f->id);

	if (!d || d->type != PROTOBUF_C_TYPE_MESSAGE || f->wire != WIRE_BYTES ||
	    d - type->fields >= MAX_FIELDS)
		return -1;
	return (int)(d - type->fields);
}

static bool singular(const ProtobufCMessageDescriptor *type, int number)
{
	return type->fields[number].label != PROTOBUF_C_LABEL_REPEATED;
}

static const ProtobufCMessageDescriptor *type_of(const ProtobufCMessageDescriptor *type, int number)
{
	return type->fields[number].descriptor;
}

/* Strings of this protocol become those of C, which would end there: no name, path or option may
 * pass for another one. */
static bool has_zero(const ProtobufCMessageDescriptor *type, const struct field *f)
{
	const ProtobufCFieldDescriptor *d = protobuf_c_message_descriptor_get_field(type, f->id);

	return d && d->type == PROTOBUF_C_TYPE_STRING && f->wire == WIRE_BYTES && f->value_size &&
	       memchr(f->value, 0, f->value_size);
}

/* 1: something is in parts, 0: nothing. Which fields of this level are, in *twice. */
static int find_parts(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
                      unsigned int depth, uint64_t *twice)
{
	struct reader r = reader_init(data, size);
	uint64_t seen = 0, inner;
	struct field f;
	int found = 0;

	*twice = 0;
	if (depth > MAX_DEPTH)
		return -EBADMSG;
	while (next_field(&r, &f)) {
		int number = message_field(type, &f), below;

		if (has_zero(type, &f))
			return -EBADMSG;
		if (number < 0)
			continue;
		if (singular(type, number)) {
			*twice |= seen & UINT64_C(1) << number;
			seen |= UINT64_C(1) << number;
		}
		below = find_parts(type_of(type, number), f.value, f.value_size, depth + 1, &inner);
		if (below < 0)
			return below;
		found |= below;
	}
	if (r.failed)
		return -EBADMSG;
	return found || *twice ? 1 : 0;
}

static int join(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
                unsigned int depth, struct buffer *out);

static int join_field(const ProtobufCMessageDescriptor *type, uint32_t id, const uint8_t *data,
                      size_t size, unsigned int depth, struct buffer *out)
{
	_cleanup_buffer_ struct buffer whole = BUFFER_INIT;
	int r = join(type, data, size, depth, &whole);

	if (r < 0)
		return r;
	put_varint(out, (uint64_t)id << 3 | WIRE_BYTES);
	put_varint(out, whole.size);
	buffer_append(out, buffer_cstr(&whole), whole.size);
	return out->failed ? -ENOMEM : 0;
}

/* What is there once, or may be there often, keeps its place; the parts are gathered. */
static int gather(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
                  uint64_t twice, unsigned int depth, struct buffer parts[MAX_FIELDS],
                  struct buffer *out)
{
	struct reader r = reader_init(data, size);
	struct field f;
	int ret = 0;

	while (ret == 0 && next_field(&r, &f)) {
		int number = message_field(type, &f);

		if (number < 0)
			buffer_append(out, f.start, f.size);
		else if (twice & UINT64_C(1) << number)
			buffer_append(&parts[number], f.value, f.value_size);
		else
			ret = join_field(type_of(type, number), f.id, f.value, f.value_size,
			                 depth + 1, out);
	}
	return ret;
}

/* The parts come at the end: the order of different fields means nothing. */
static int join(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
                unsigned int depth, struct buffer *out)
{
	struct buffer parts[MAX_FIELDS] = {BUFFER_INIT};
	uint64_t twice = 0;
	int r = find_parts(type, data, size, depth, &twice);

	if (r == 0)
		buffer_append(out, data, size);
	else if (r > 0)
		r = gather(type, data, size, twice, depth, parts, out);
	for (int i = 0; i < MAX_FIELDS; i++) {
		if (r == 0 && parts[i].failed)
			r = -ENOMEM;
		if (r == 0 && twice & UINT64_C(1) << i)
			r = join_field(type_of(type, i), type->fields[i].id,
			               (const uint8_t *)buffer_cstr(&parts[i]), parts[i].size,
			               depth + 1, out);
		buffer_free(&parts[i]);
	}
	return r == 0 && out->failed ? -ENOMEM : r;
}

int rpc_join_parts(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
                   struct buffer *out)
{
	uint64_t twice;
	int r = find_parts(type, data, size, 0, &twice);

	if (r > 0)
		r = join(type, data, size, 0, out) ?: 1;
	return r;
}
