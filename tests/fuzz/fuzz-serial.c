/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the serial port: the input is a guest's accesses and what comes in on the line. */
#include <sys/socket.h>

#include "host-shim/vmm/devices/serial.h"
#include "tests/fuzz/virtio_fuzz.h"

static void interrupt(void *data)
{
	++*(unsigned int *)data;
}

static void access_it(struct serial *s, struct reader *in)
{
	uint8_t reg = reader_u8(in);

	if (reg & 0x80)
		serial_write(s, reg & 0x7f, reader_u8(in));
	else
		serial_read(s, reg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader in = reader_init(data, size);
	static struct vbench b;
	struct output *output;
	struct serial *s;
	unsigned int interrupts = 0;
	int ends[2];

	vbench_init(&b, 0);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) ||
	    output_new(&output, b.loop, ends[0], 0, NULL) ||
	    serial_new(&s, b.loop, &(struct serial_config){output, ends[0], interrupt, &interrupts},
	               NULL))
		abort();
	while (reader_left(&in) > 0) {
		uint8_t move = reader_u8(&in) % 8;

		if (move < 6)
			access_it(s, &in);
		else if (move == 6 && send(ends[1], data, size < 40 ? size : 40, MSG_NOSIGNAL) < 0)
			break;
		else
			vbench_turn_now(&b);
	}
	serial_free(s);
	output_free(output);
	vbench_stop(&b);
	close(ends[0]);
	close(ends[1]);
	return 0;
}
