/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ttrpc: the frames of containerd's ttrpc protocol, and protobuf messages in bounded memory.
 *
 * A frame is a 10-byte big-endian header (payload length u32, stream id u32,
 * type u8, flags u8) and a payload of at most 4 MiB. Stream ids are chosen by
 * the client: odd, growing. Everything here works on memory only.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/bytes.h"

#define TTRPC_HEADER_SIZE 10
#define TTRPC_MAX_PAYLOAD (4u << 20)
/* Memory that one decoded message may take: many small sub-messages weigh more
 * in memory than on the wire. */
#define RPC_ARENA_LIMIT (4u * TTRPC_MAX_PAYLOAD)

enum ttrpc_type { TTRPC_REQUEST = 1, TTRPC_RESPONSE = 2, TTRPC_DATA = 3 };

/* gRPC's status codes, as far as this protocol uses them. */
enum rpc_code {
	RPC_OK = 0,
	RPC_CANCELLED = 1,
	RPC_UNKNOWN = 2,
	RPC_INVALID_ARGUMENT = 3,
	RPC_DEADLINE_EXCEEDED = 4,
	RPC_NOT_FOUND = 5,
	RPC_ALREADY_EXISTS = 6,
	RPC_PERMISSION_DENIED = 7,
	RPC_RESOURCE_EXHAUSTED = 8,
	RPC_FAILED_PRECONDITION = 9,
	RPC_OUT_OF_RANGE = 11,
	RPC_UNIMPLEMENTED = 12,
	RPC_INTERNAL = 13,
	RPC_UNAVAILABLE = 14,
};

/* "NOT_FOUND"; "UNKNOWN" for what is not in the list. */
const char *rpc_code_name(int code);
/* The status for a negative (or positive) errno value, and the reverse (positive). */
enum rpc_code rpc_code_from_errno(int errnum);
int rpc_code_to_errno(int code);

struct ttrpc_frame {
	uint32_t stream;
	uint8_t type; /* enum ttrpc_type, or anything a peer made up */
	uint8_t flags;
	bool oversize;       /* payload was longer than TTRPC_MAX_PAYLOAD and was dropped */
	bool no_memory;      /* ... for want of memory; oversize is set, too */
	const uint8_t *data; /* valid during the callback */
	size_t size;
};

void ttrpc_header_put(uint8_t out[TTRPC_HEADER_SIZE], uint32_t size, uint32_t stream, uint8_t type,
                      uint8_t flags);

/* Collects frames from bytes as they come, in whatever pieces. */
struct ttrpc_parser {
	struct buffer partial;  /* the frame begun, header included */
	size_t skip;            /* bytes of an oversize payload still to drop */
	struct ttrpc_frame big; /* header of the oversize frame */
};

/* Returns 0 to go on; anything else ends ttrpc_parser_feed() with that value. */
typedef int (*ttrpc_frame_fn)(const struct ttrpc_frame *frame, void *data);

/* Calls fn for every whole frame; 0, fn's value or -ENOMEM. */
int ttrpc_parser_feed(struct ttrpc_parser *p, const uint8_t *bytes, size_t size, ttrpc_frame_fn fn,
                      void *data);
void ttrpc_parser_free(struct ttrpc_parser *p);

/* Appends a whole request frame. 0, -EMSGSIZE or -ENOMEM; on failure `out` is as before. */
int ttrpc_put_request(struct buffer *out, uint32_t stream, const char *service, const char *method,
                      int64_t timeout_nano, const ProtobufCMessage *request);
/* Appends a whole answer: status OK and the message (NULL: an empty one). */
int ttrpc_put_reply(struct buffer *out, uint32_t stream, const ProtobufCMessage *reply);
/* The same for a message whose only content is `size` bytes in field `field`, without a copy of
 * them: the frame is made round them, in the TTRPC_BYTES_PREFIX bytes before `data`, and is *frame
 * with the size that is returned. ttrpc_bytes_room() gives such memory in `out`, which must be
 * empty, for at most `max` bytes (NULL on a full memory). */
#define TTRPC_BYTES_PREFIX 24u /* header, status, and two tags with their lengths */
uint8_t *ttrpc_bytes_room(struct buffer *out, size_t max);
size_t ttrpc_put_bytes(uint8_t *data, size_t size, uint32_t stream, unsigned int field,
                       const uint8_t **frame);
/* Appends an answer with a status that is not OK, and no payload. */
int ttrpc_put_status(struct buffer *out, uint32_t stream, int code, const char *message);

/* Decodes into the arena (never free the message itself). NULL: not a message of
 * this type, or one past the arena's limit, or a full memory. */
ProtobufCMessage *rpc_unpack(const ProtobufCMessageDescriptor *type, struct arena *arena,
                             const uint8_t *data, size_t size);
