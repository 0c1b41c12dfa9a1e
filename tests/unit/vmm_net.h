/* SPDX-License-Identifier: Apache-2.0 */
/* vmm_net: the network device on plain memory with a stream as its other side, for its tests. */
#pragma once

#include <linux/virtio_net.h>
#include <sys/socket.h>

#include "check.h"
#include "host-shim/vmm/devices/net.h"
#include "tests/unit/virtio_bench.h"

static struct vbench b;
static struct error err = ERROR_INIT;
static int ends[2] = {-1, -1}; /* [1] is what passt would hold */
static int other_end = -1;     /* of a back end of a test's own */
static uint8_t frame[70000];

#define F(bit) (1ull << (bit))

static inline void start_with(struct net_backend *backend, uint16_t size, uint64_t features)
{
	struct net_config config = {backend, {2, 0, 0, 0, 0, 7}, 1400};

	check_ok(net_device_new(&b.dev, b.loop, &config, &err), &err);
	vbench_start(&b, size, features);
}

static inline void start_stream(uint64_t features)
{
	struct net_backend *backend;

	vbench_init(&b, 0);
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	check_ok(net_stream_new(&backend, ends[0], &err), &err);
	start_with(backend, 64, features);
}

static inline void stop(void)
{
	vbench_stop(&b);
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	if (other_end >= 0)
		close(other_end);
}

/* A frame from the guest with the given header fields. */
static inline void transmit(uint8_t flags, uint8_t gso, uint16_t gso_size, uint16_t csum_start,
                            uint16_t csum_offset, uint32_t size)
{
	uint8_t h[12] = {flags, gso};
	struct vbench_part p[] = {{h, 12, false, 0}, {frame, size, false, 0}};

	put_le16(h + 4, gso_size);
	put_le16(h + 6, csum_start);
	put_le16(h + 8, csum_offset);
	put_le16(h + 10, 0xbeef);
	check_int(vbench_request(&b, NET_QUEUE_TX, p, 2), 0);
}

/* The next frame on the stream's other end, or -1. */
static inline int64_t read_stream(void)
{
	uint8_t prefix[4];
	uint32_t size, have = 0;

	if (recv(ends[1], prefix, 4, MSG_WAITALL) != 4)
		return -1;
	size = get_be32(prefix);
	for (int i = 0; i < 2000 && have < size; i++) {
		ssize_t n = recv(ends[1], frame + have, size - have, 0);

		if (n > 0)
			have += (uint32_t)n;
		else
			vbench_turn(&b, 1);
	}
	return have == size ? (int64_t)size : -1;
}

static inline void write_stream(uint32_t claimed, const void *bytes, size_t n)
{
	uint8_t prefix[4];

	put_be32(prefix, claimed);
	check_int(send(ends[1], prefix, 4, MSG_NOSIGNAL), 4);
	check_int(send(ends[1], bytes, n, MSG_NOSIGNAL), n);
}

static inline void pattern(size_t n)
{
	for (size_t i = 0; i < n; i++)
		frame[i] = (uint8_t)(i * 7);
}

static inline uint16_t link_status(void)
{
	uint8_t c[2];

	virtio_device_config_read(b.dev, 6, c, 2);
	return get_le16(c);
}

static inline void offer_rx(unsigned int n, uint32_t size, uint64_t *gpa)
{
	for (unsigned int i = 0; i < n; i++) {
		struct vbench_part p = {NULL, size, true, 0};

		vbench_offer(&b, NET_QUEUE_RX, &p, 1);
		gpa[i] = p.gpa;
	}
	vbench_kick(&b, NET_QUEUE_RX);
}
