/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock_bench: a vsock device on plain memory with a driver that is written by hand, and
 * socket pairs for the host's programs; for tests and fuzzers.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-shim/vmm/devices/vsock.h"
#include "host-shim/vmm/devices/vsock_packet.h"
#include "lib/base/loop.h"
#include "tests/unit/virtq_driver.h"

#define BENCH_CID      42
#define BENCH_RX_SIZE  4096 /* of each receive buffer */
#define BENCH_SOCKETS  2048
#define BENCH_RING_GAP 0x10000

struct bench {
	uint8_t *ram;
	struct guest_memory memory;
	struct loop *loop;
	struct virtio_device *dev;
	struct driver_ring ring[VSOCK_QUEUES];
	int host[BENCH_SOCKETS]; /* the programs' ends of accepted connections */
	unsigned int n_host;
	int refuse; /* errno for connections that the guest opens, 0: accept them */
	unsigned int interrupts[VSOCK_QUEUES];
	const char *needs_reset;
};

static int bench_connect(void *data, uint32_t port)
{
	struct bench *b = data;
	int pair[2];

	if (b->refuse || b->n_host == BENCH_SOCKETS)
		return -(b->refuse ? b->refuse : EMFILE);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	b->host[b->n_host++] = pair[0];
	return pair[1];
}

static void bench_interrupt(void *data, unsigned int queue)
{
	((struct bench *)data)->interrupts[queue]++;
}

static void bench_needs_reset(void *data, const char *why)
{
	((struct bench *)data)->needs_reset = why;
}

static void bench_leave(void *data)
{
	loop_exit(data, 0);
}

/* Lets the loop handle what is ready now, and what comes of that. */
static inline void bench_turn(struct bench *b)
{
	for (int i = 0; i < 4; i++) {
		loop_defer(b->loop, bench_leave, b->loop);
		loop_run(b->loop, NULL);
	}
}

static inline void bench_start(struct bench *b, int listen_fd, uint16_t size, uint64_t features)
{
	struct vsock_config config = {
	    .guest_cid = BENCH_CID,
	    .listen_fd = listen_fd,
	    .connect = bench_connect,
	    .connect_data = b,
	};

	memset(b, 0, sizeof(*b));
	b->ram = calloc(1, DRIVER_SIZE);
	if (!b->ram || guest_memory_add(&b->memory, DRIVER_GPA, DRIVER_SIZE, b->ram, false, NULL) ||
	    loop_new(&b->loop, NULL) || vsock_device_new(&b->dev, b->loop, &config, NULL))
		abort();
	b->dev->transport = (struct virtio_transport){
	    .interrupt = bench_interrupt, .needs_reset = bench_needs_reset, .data = b};
	for (unsigned int i = 0; i < VSOCK_QUEUES; i++) {
		struct virtqueue_layout l;

		b->ring[i] =
		    (struct driver_ring){.base = b->ram, .at = i * BENCH_RING_GAP, .size = size};
		l = driver_layout(&b->ring[i], features);
		if (virtqueue_start(&b->dev->queues[i], &b->memory, &l, NULL))
			abort();
	}
	virtio_device_activate(b->dev);
}

static inline void bench_stop(struct bench *b)
{
	virtio_device_free(b->dev);
	loop_free(b->loop);
	guest_memory_clear(&b->memory);
	for (unsigned int i = 0; i < b->n_host; i++)
		if (b->host[i] >= 0)
			close(b->host[i]);
	free(b->ram);
}

static inline void bench_close_host(struct bench *b, unsigned int i)
{
	close(b->host[i]);
	b->host[i] = -1;
}

/* Buffers for packets to the guest: buffer i is descriptor i, at 0x40000 and up. */
static inline uint64_t bench_rx_buffer(uint16_t i)
{
	return 0x40000 + (uint64_t)i * BENCH_RX_SIZE;
}

static inline void bench_offer_rx(struct bench *b, uint16_t first, uint16_t n)
{
	for (uint16_t i = first; i < first + n; i++) {
		driver_put_desc(&b->ring[VSOCK_QUEUE_RX], i,
		                (struct vq_desc){DRIVER_GPA + bench_rx_buffer(i), BENCH_RX_SIZE,
		                                 VIRTQ_DESC_F_WRITE, 0});
		driver_offer(&b->ring[VSOCK_QUEUE_RX], i);
	}
	virtio_device_notify(b->dev, VSOCK_QUEUE_RX);
}

/* The next packet for the guest, its buffer offered again: 1, or 0 when there is none. */
static inline int bench_receive(struct bench *b, struct vsock_header *h, uint8_t *payload)
{
	uint32_t id, len;
	uint8_t *at;

	if (!driver_take(&b->ring[VSOCK_QUEUE_RX], &id, &len))
		return 0;
	at = b->ram + bench_rx_buffer((uint16_t)id);
	vsock_header_decode(h, at);
	if (len != VSOCK_HEADER_SIZE + h->len || len > BENCH_RX_SIZE)
		abort();
	if (payload)
		memcpy(payload, at + VSOCK_HEADER_SIZE, h->len);
	driver_offer(&b->ring[VSOCK_QUEUE_RX], (uint16_t)id);
	virtio_device_notify(b->dev, VSOCK_QUEUE_RX);
	return 1;
}

/* One packet from the guest in one descriptor; up to 32 KiB - 64 of payload. */
static inline void bench_send(struct bench *b, const struct vsock_header *h, const void *payload,
                              size_t size)
{
	struct driver_ring *r = &b->ring[VSOCK_QUEUE_TX];
	uint64_t at = driver_data(r);
	uint32_t id, len;

	vsock_header_encode(h, b->ram + at);
	memcpy(b->ram + at + VSOCK_HEADER_SIZE, payload, size);
	driver_put_desc(
	    r, 0, (struct vq_desc){DRIVER_GPA + at, (uint32_t)(VSOCK_HEADER_SIZE + size), 0, 0});
	driver_offer(r, 0);
	virtio_device_notify(b->dev, VSOCK_QUEUE_TX);
	driver_take(r, &id, &len);
}

/* A header as the guest's port sends it to the host's. */
static inline struct vsock_header bench_header(uint16_t op, uint32_t guest_port, uint32_t host_port)
{
	return (struct vsock_header){.src_cid = BENCH_CID,
	                             .dst_cid = VSOCK_CID_HOST,
	                             .src_port = guest_port,
	                             .dst_port = host_port,
	                             .type = VSOCK_TYPE_STREAM,
	                             .op = op,
	                             .buf_alloc = 65536};
}
