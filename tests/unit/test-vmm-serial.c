/* SPDX-License-Identifier: Apache-2.0 */
/* The serial port, as the drivers of Linux and of kvm-unit-tests look at a 16550A. */
#include <fcntl.h>

#include "check.h"
#include "host-shim/vmm/devices/serial.h"
#include "tests/unit/virtio_bench.h"

static struct vbench b;
static struct error err = ERROR_INIT;
static struct output *output;
static struct serial *s;
static int in[2], out[2];
static unsigned int interrupts;

static void interrupt(void *data)
{
	interrupts++;
}

static void start(void)
{
	struct serial_config config = {.interrupt = interrupt};

	check(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0);
	vbench_init(&b, 0);
	check_ok(output_new(&output, b.loop, out[1], 0, &err), &err);
	config.output = output;
	config.input_fd = in[0];
	check_ok(serial_new(&s, b.loop, &config, &err), &err);
	interrupts = 0;
}

static void stop(void)
{
	serial_free(s);
	output_free(output);
	b.dev = NULL;
	vbench_stop(&b);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

TEST(transmit)
{
	char text[8];

	start();
	check_int(serial_read(s, 5), 0x60);
	serial_write(s, 0, 'h');
	serial_write(s, 0, 'i');
	check_int(serial_read(s, 5), 0x60);
	vbench_turn(&b, 2);
	check_int(read(out[0], text, 8), 2);
	check_mem(text, "hi", 2);
	check_int(interrupts, 0);
	stop();
}

/* The steps of Linux's autoconfig() for a port to be a 16550A. */
TEST(found_as_16550A)
{
	start();
	serial_write(s, 1, 0);
	check_int(serial_read(s, 1), 0);
	serial_write(s, 1, 0x0f);
	check_int(serial_read(s, 1) & 0x0f, 0x0f);
	serial_write(s, 1, 0);
	serial_write(s, 4, 0x10 | 0x0a); /* loop */
	check_int(serial_read(s, 6) & 0xf0, 0x90);
	serial_write(s, 4, 0);
	serial_write(s, 2, 1);
	check_int(serial_read(s, 2) >> 6, 3);
	serial_write(s, 3, 0x80);
	check(serial_read(s, 2) != 0); /* no extended features register */
	serial_write(s, 3, 0);
	serial_write(s, 7, 0xa5);
	check_int(serial_read(s, 7), 0xa5);
	stop();
}

TEST(divisor_latch)
{
	char text[8];

	start();
	serial_write(s, 3, 0x83);
	serial_write(s, 0, 0x0c);
	serial_write(s, 1, 0x01);
	check_int(serial_read(s, 0), 0x0c);
	check_int(serial_read(s, 1), 0x01);
	serial_write(s, 3, 0x03);
	check_int(serial_read(s, 1), 0);
	vbench_turn(&b, 2);
	check(read(out[0], text, 8) < 0); /* nothing was sent */
	stop();
}

TEST(transmitter_interrupt)
{
	start();
	serial_write(s, 4, 0x08); /* OUT2 */
	serial_write(s, 1, 0x02);
	check_int(interrupts, 1);
	check_int(serial_read(s, 2) & 0x0f, 0x02);
	check_int(serial_read(s, 2) & 0x0f, 0x01); /* reading told it */
	serial_write(s, 0, 'x');
	check_int(interrupts, 2);
	check_int(serial_read(s, 2) & 0x0f, 0x02);
	serial_write(s, 4, 0); /* the line is off without OUT2 */
	serial_write(s, 0, 'x');
	check_int(interrupts, 2);
	stop();
}

TEST(receive)
{
	start();
	serial_write(s, 4, 0x08);
	serial_write(s, 1, 0x01);
	check_int(write(in[1], "ab", 2), 2);
	vbench_turn(&b, 2);
	check_int(interrupts, 1);
	check_int(serial_read(s, 2) & 0x0f, 0x04);
	check_int(serial_read(s, 5), 0x61);
	check_int(serial_read(s, 0), 'a');
	check_int(serial_read(s, 0), 'b');
	check_int(serial_read(s, 5), 0x60);
	check_int(serial_read(s, 0), 0);
	check_int(serial_read(s, 2) & 0x0f, 0x01);
	stop();
}

/* More than the port holds: nothing is lost, nothing is read before there is room. */
TEST(receive_more_than_fits)
{
	uint8_t bytes[100];
	unsigned int got = 0;

	start();
	for (unsigned int i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i + 1);
	check(write(in[1], bytes, sizeof(bytes)) == sizeof(bytes));
	for (int i = 0; i < 100 && got < sizeof(bytes); i++) {
		vbench_turn(&b, 1);
		while (serial_read(s, 5) & 1)
			check_int(serial_read(s, 0), ++got);
	}
	check_int(got, sizeof(bytes));
	check_int(serial_read(s, 5) & 2, 0);
	stop();
}

TEST(loop_mode)
{
	char text[8];

	start();
	serial_write(s, 4, 0x10);
	for (int i = 0; i < 17; i++)
		serial_write(s, 0, (uint8_t)('a' + i));
	check_int(serial_read(s, 5), 0x63); /* the last was lost */
	check_int(serial_read(s, 5), 0x61); /* told once */
	check_int(serial_read(s, 0), 'a');
	serial_write(s, 2, 3); /* clear */
	check_int(serial_read(s, 5), 0x60);
	vbench_turn(&b, 2);
	check(read(out[0], text, 8) < 0);
	check_int(interrupts, 0);
	stop();
}

TEST(state_is_saved_and_restored)
{
	_cleanup_buffer_ struct buffer saved = BUFFER_INIT;
	struct reader from;

	start();
	serial_write(s, 3, 0x83);
	serial_write(s, 0, 0x0c);
	serial_write(s, 3, 0x03);
	serial_write(s, 4, 0x1b);
	serial_write(s, 7, 0x5a);
	serial_write(s, 0, 'a');
	serial_write(s, 0, 'b');
	check_int(serial_read(s, 0), 'a');
	serial_save(s, &saved);
	stop();
	start();
	from = reader_init(saved.data, saved.size);
	check_ok(serial_restore(s, &from, &err), &err);
	check_int(serial_read(s, 0), 'b');
	check_int(serial_read(s, 5), 0x60);
	check_int(serial_read(s, 4), 0x1b);
	check_int(serial_read(s, 7), 0x5a);
	check_int(serial_read(s, 3), 0x03);
	from = reader_init(saved.data, saved.size - 1);
	check_int(serial_restore(s, &from, &err), -EPROTO);
	saved.data[10] = 17;
	from = reader_init(saved.data, saved.size);
	check_int(serial_restore(s, &from, &err), -EPROTO);
	stop();
}

TEST(any_access_is_harmless)
{
	uint32_t x = 1;

	start();
	for (int i = 0; i < 200000; i++) {
		x = x * 1664525 + 1013904223;
		if (x >> 31)
			serial_write(s, x >> 8, (uint8_t)(x >> 16));
		else
			serial_read(s, x >> 8);
	}
	vbench_turn(&b, 2);
	stop();
}

TEST_MAIN()
