/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_packet: the header of a virtio socket packet (virtio 1.2 §5.10.6). */
#pragma once

#include <stdint.h>

#define VSOCK_HEADER_SIZE 44

/* Well-known context ids. */
#define VSOCK_CID_HOST 2

#define VSOCK_TYPE_STREAM 1

enum vsock_op {
	VSOCK_OP_INVALID = 0,
	VSOCK_OP_REQUEST = 1,
	VSOCK_OP_RESPONSE = 2,
	VSOCK_OP_RST = 3,
	VSOCK_OP_SHUTDOWN = 4,
	VSOCK_OP_RW = 5,
	VSOCK_OP_CREDIT_UPDATE = 6,
	VSOCK_OP_CREDIT_REQUEST = 7,
};

/* Flags of VSOCK_OP_SHUTDOWN, §5.10.6.5. */
#define VSOCK_SHUTDOWN_RECEIVE 1u
#define VSOCK_SHUTDOWN_SEND    2u
#define VSOCK_SHUTDOWN_BOTH    3u

struct vsock_header {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len; /* bytes of payload */
	uint16_t type, op;
	uint32_t flags;
	uint32_t buf_alloc, fwd_cnt; /* §5.10.6.3 */
};

/* Any 44 bytes decode; what they say is the caller's to check. */
void vsock_header_decode(struct vsock_header *h, const uint8_t bytes[VSOCK_HEADER_SIZE]);
void vsock_header_encode(const struct vsock_header *h, uint8_t bytes[VSOCK_HEADER_SIZE]);
