/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the vsock device: the input is a guest's packets and ring contents, and a host's moves. */
#include <stdint.h>
#include <stdlib.h>

#include "lib/base/bytes.h"
#include "tests/unit/vsock_bench.h"

#define STEPS 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A packet whose fields are mostly likely ones. */
static void guest_packet(struct bench *b, struct reader *in)
{
	static const uint32_t lengths[] = {0, 1, 100, 4096, 16384, 32000};
	static uint8_t payload[32000];
	struct vsock_header h =
	    bench_header(reader_u8(in) % 10, reader_u8(in) % 4, 5000 + reader_u8(in) % 3);
	uint8_t odd = reader_u8(in);
	uint32_t size = lengths[reader_u8(in) % 6];

	h.flags = reader_u8(in) % 4;
	h.len = size;
	h.fwd_cnt = reader_le16(in);
	if (odd & 1)
		h.buf_alloc = reader_le32(in);
	if (odd & 2)
		h.len = reader_le32(in);
	if (odd & 4)
		h.type = reader_le16(in);
	if (odd & 8)
		h.dst_cid = reader_le64(in);
	if (odd & 16)
		h.src_port = reader_le32(in);
	bench_send(b, &h, payload, size);
}

/* Bytes anywhere in the rings' memory. */
static void guest_scribbles(struct bench *b, struct reader *in)
{
	uint32_t at = reader_le32(in) % (3 * BENCH_RING_GAP), n = 1 + reader_u8(in) % 16;

	for (uint32_t i = 0; i < n; i++)
		b->ram[at + i] = reader_u8(in);
	virtio_device_notify(b->dev, reader_u8(in) % VSOCK_QUEUES);
}

static void guest_receives(struct bench *b, struct reader *in)
{
	struct driver_ring *r = &b->ring[VSOCK_QUEUE_RX];
	uint32_t id, len;

	/* Not bench_receive(): the rings may hold nonsense by now. */
	for (int i = reader_u8(in) % 32; i > 0 && driver_take(r, &id, &len); i--)
		driver_offer(r, (uint16_t)(id % r->size));
	virtio_device_notify(b->dev, VSOCK_QUEUE_RX);
}

static void host_moves(struct bench *b, struct reader *in)
{
	static uint8_t block[8192];
	unsigned int i = b->n_host ? reader_u8(in) % b->n_host : 0;
	int fd = b->n_host ? b->host[i] : -1;

	if (fd < 0)
		return;
	switch (reader_u8(in) % 6) {
	case 0:
		shutdown(fd, SHUT_WR);
		break;
	case 1:
		shutdown(fd, SHUT_RD);
		break;
	case 2:
		bench_close_host(b, i);
		break;
	case 3:
		while (recv(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
			;
		break;
	default:
		send(fd, block, 1 + reader_le16(in) % sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	bench_turn(b);
}

static void host_opens(struct bench *b, struct reader *in)
{
	int pair[2];

	if (b->n_host >= 32 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	b->host[b->n_host++] = pair[0];
	if (vsock_device_open(b->dev, pair[1], reader_u8(in) % 4) < 0)
		close(pair[1]);
}

static void settings(struct bench *b, struct reader *in)
{
	uint8_t what = reader_u8(in);

	b->refuse = what & 1 ? ECONNREFUSED : 0;
	if (what == 255)
		vsock_device_transport_reset(b->dev);
	if (what == 254)
		virtio_device_reset(b->dev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const moves[])(struct bench * b, struct reader * in) = {
	    guest_packet, guest_packet, guest_packet, guest_receives,
	    host_moves,   host_opens,   settings,     guest_scribbles,
	};
	struct reader in = reader_init(data, size);
	static struct bench b;
	uint8_t first = reader_u8(&in);

	bench_start(&b, -1, 64, (uint64_t)(first & 3) << VIRTIO_F_INDIRECT_DESC);
	bench_offer_rx(&b, 0, first >> 2);
	for (int i = 0; i < STEPS && reader_left(&in) > 0; i++)
		moves[reader_u8(&in) % 8](&b, &in);
	bench_turn(&b);
	bench_stop(&b);
	return 0;
}
