/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_backend: where the frames of a network device go to and come from: a tap interface, or a
 * unix stream to passt. Nothing here blocks. Descriptors stay the caller's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/base/error.h"

#define NET_HEADER_SIZE 12u /* struct virtio_net_hdr_v1, virtio 1.2 §5.1.6 */
#define NET_FRAME_MIN   14u /* bytes: an Ethernet header */
/* A segment of 64 KiB with its headers and a VLAN tag, as §5.1.6.3.1 wants room for. */
#define NET_FRAME_MAX 65550u

/* A frame from outside; good until the next call of receive(). */
struct net_frame {
	uint8_t header[NET_HEADER_SIZE]; /* without num_buffers */
	const uint8_t *data;
	size_t size;
};

struct net_backend {
	const struct net_backend_ops *ops;
	int fd; /* to be watched */
};

struct net_backend_ops {
	uint64_t features; /* offload bits of §5.1.3 that it can do */
	/* Of its features those that the driver took. */
	void (*set_features)(struct net_backend *b, uint64_t features);
	/* 1 a frame, 0 none now; negative: none will ever come. */
	int (*receive)(struct net_backend *b, struct net_frame *f);
	/* Takes one frame (at most IOV_MAX - 2 pieces): 0 (also when it was lost, as networks do),
	 * -EAGAIN when the descriptor must be writable first, others: none can be sent again. */
	int (*send)(struct net_backend *b, const uint8_t header[NET_HEADER_SIZE],
	            const struct iovec *iov, size_t n);
	/* Goes on with what it holds: 0 nothing is held any more, else as send(). */
	int (*flush)(struct net_backend *b);
	void (*free)(struct net_backend *b);
};

/* A descriptor of that tap interface, as net_tap_new() wants it; without a persistent one of the
 * name there is a new one (needs CAP_NET_ADMIN) until it is closed. */
int net_tap_open(const char *name, struct error *err);
/* A tap interface, opened with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR. */
int net_tap_new(struct net_backend **out, int fd, struct error *err);

/* A connected unix stream on which each frame follows its length (32 bits, network order), as
 * passt(1) and QEMU's "-netdev stream" speak. No offloads. */
int net_stream_new(struct net_backend **out, int fd, struct error *err);

static inline void net_backend_free(struct net_backend *b) /* NULL is fine */
{
	if (b)
		b->ops->free(b);
}
