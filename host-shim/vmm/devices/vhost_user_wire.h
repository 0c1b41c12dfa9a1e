/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost_user_wire: messages of the vhost-user protocol, collected from a socket
 * with the descriptors that came along. Names and numbers are those of QEMU's
 * docs/interop/vhost-user.rst.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define VHOST_USER_HEADER_SIZE 12
#define VHOST_USER_PAYLOAD_MAX 512 /* the longest that we take: a memory table of 8 regions */
#define VHOST_USER_FDS_MAX     8

#define VHOST_USER_VERSION      1u
#define VHOST_USER_VERSION_MASK 3u
#define VHOST_USER_F_REPLY      4u
#define VHOST_USER_F_NEED_REPLY 8u

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_REQUESTS
};

/* Feature bit that allows protocol features to be talked about. */
#define VHOST_USER_F_PROTOCOL_FEATURES 30

/* Protocol feature bits that are used here. */
#define VHOST_USER_PROTOCOL_F_MQ        0
#define VHOST_USER_PROTOCOL_F_REPLY_ACK 3
#define VHOST_USER_PROTOCOL_F_CONFIG    9

/* Bit of the payload of SET_VRING_KICK, _CALL and _ERR: no descriptor came along. */
#define VHOST_USER_VRING_NO_FD 0x100u

struct vhost_user_message {
	uint32_t request, flags, size;
	uint8_t payload[VHOST_USER_PAYLOAD_MAX];
	int fds[VHOST_USER_FDS_MAX]; /* owned; -1 where taken */
	unsigned int n_fds;
};

/* A message that is being collected. */
struct vhost_user_input {
	bool replies; /* the peer is a back end: what it sends are replies */
	uint8_t bytes[VHOST_USER_HEADER_SIZE + VHOST_USER_PAYLOAD_MAX];
	size_t have;
	int fds[VHOST_USER_FDS_MAX];
	unsigned int n_fds;
};

/* Reads what there is: 1 a whole message (free it with vhost_user_message_done()), 0 not
 * yet, -ENODATA the peer closed, other negatives: wrong. */
int vhost_user_read(struct vhost_user_input *in, int fd, struct vhost_user_message *out,
                    struct error *err);
void vhost_user_input_clear(struct vhost_user_input *in);
/* Closes the descriptors that nobody took. */
void vhost_user_message_done(struct vhost_user_message *m);

/* Sends a request to a back end, with descriptors (at most VHOST_USER_FDS_MAX, which stay the
 * caller's). A socket that is full is an error. */
int vhost_user_request(int fd, uint32_t request, bool need_reply, const void *payload,
                       uint32_t size, const int *fds, unsigned int n_fds, struct error *err);

/* Answers a request. The peer waits for it, so a socket that is full is an error. */
int vhost_user_reply(int fd, uint32_t request, const void *payload, uint32_t size,
                     struct error *err);
