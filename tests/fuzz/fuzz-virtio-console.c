/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the console device: the input is a guest's buffers and what somebody types. */
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include "host-shim/vmm/devices/console.h"
#include "tests/fuzz/virtio_fuzz.h"

static int ends[2]; /* [0] is the device's */
static struct output *output;

static void make(struct vbench *b, struct reader *in)
{
	uint8_t how = reader_u8(in);

	signal(SIGPIPE, SIG_IGN); /* as output.h asks */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) ||
	    output_new(&output, b->loop, ends[0], how * 64ull, NULL) ||
	    console_device_new(
	        &b->dev, b->loop,
	        &(struct console_config){output, how & 1 ? ends[0] : -1, how & 2 ? 80 : 0, 0},
	        NULL))
		abort();
}

/* Somebody types, reads, or changes the window. */
static void move(struct vbench *b, struct reader *in)
{
	static uint8_t block[4096];
	uint8_t how = reader_u8(in);

	if (how & 1 && send(ends[1], block, 1 + how, MSG_NOSIGNAL) < 0)
		return;
	if (how & 2 && recv(ends[1], block, sizeof(block), 0) < 0)
		return;
	if (how == 0xff)
		shutdown(ends[1], SHUT_RDWR);
	console_device_resize(b->dev, how, how >> 4);
	vbench_turn_now(b);
}

static void end(struct vbench *b)
{
	output_free(output);
	close(ends[0]);
	close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return vfuzz_run(&(struct vfuzz){.make = make, .move = move, .end = end}, data, size);
}
