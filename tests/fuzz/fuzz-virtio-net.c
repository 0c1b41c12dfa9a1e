/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the network device: the input is a guest's frames and buffers, and a peer's stream. */
#include <sys/socket.h>

#include "host-shim/vmm/devices/net.h"
#include "tests/fuzz/virtio_fuzz.h"

static int ends[2]; /* [0] is the device's */

static void make(struct vbench *b, struct reader *in)
{
	uint8_t mtu = reader_u8(in);
	struct net_config config = {.mtu = mtu >= 68 ? mtu : 0};

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) ||
	    net_stream_new(&config.backend, ends[0], NULL) ||
	    net_device_new(&b->dev, b->loop, &config, NULL))
		abort();
}

/* A header with likely fields. */
static uint32_t request(struct vbench *b, struct reader *in, uint8_t *bytes)
{
	static const uint8_t gso[] = {0, 1, 4, 3};
	uint8_t how = reader_u8(in);

	bytes[0] = how & 3;
	bytes[1] = gso[how >> 2 & 3];
	bytes[4] = how >> 4;
	bytes[6] = how & 0x40 ? reader_u8(in) : 0;
	bytes[8] = how & 0x80 ? reader_u8(in) : 0;
	return how & 0x20 ? how >> 1 & 63u : 12u + (how & 31);
}

/* The peer sends frames, whole or not, reads, or goes. */
static void move(struct vbench *b, struct reader *in)
{
	static uint8_t block[8192];
	uint8_t how = reader_u8(in), size = reader_u8(in);

	put_be32(block, how & 0x80 ? reader_le32(in) : size * 16u);
	if (how & 1 && send(ends[1], block, how & 8 ? size : 4 + size * 16u, MSG_NOSIGNAL) < 0)
		return;
	if (how & 2 && recv(ends[1], block, sizeof(block), 0) < 0)
		return;
	if (how == 0x7c)
		shutdown(ends[1], SHUT_RDWR);
	vbench_turn_now(b);
}

static void end(struct vbench *b)
{
	close(ends[0]);
	close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return vfuzz_run(
	    &(struct vfuzz){.make = make, .request = request, .move = move, .end = end}, data,
	    size);
}
