/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of the console device on plain memory, by clause of virtio 1.2 §5.3, and of output.
 */
#include <fcntl.h>
#include <signal.h>

#include "check.h"
#include "host-shim/vmm/devices/console.h"
#include "tests/unit/virtio_bench.h"

static struct vbench b;
static struct error err = ERROR_INIT;
static struct output *output;
static int in[2], out[2]; /* pipes: [1] is what we type into, [0] what we read from */
static char text[1 << 17];

static void start_rate(uint16_t cols, uint16_t rows, uint64_t rate)
{
	struct console_config config = {.cols = cols, .rows = rows};

	signal(SIGPIPE, SIG_IGN);
	check(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	vbench_init(&b, 0);
	check_ok(output_new(&output, b.loop, out[1], rate, &err), &err);
	config.output = output;
	config.input_fd = in[0];
	check_ok(console_device_new(&b.dev, b.loop, &config, &err), &err);
	vbench_start(&b, 64, ~0ull);
}

static void start(void)
{
	start_rate(80, 25, 0);
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void stop(void)
{
	virtio_device_free(b.dev);
	b.dev = NULL;
	output_free(output);
	vbench_stop(&b);
	for (int i = 0; i < 2; i++) {
		close_end(&in[i]);
		close_end(&out[i]);
	}
}

static void print(const void *bytes, uint32_t n)
{
	struct vbench_part p[] = {{bytes, n, false, 0}};

	check_int(vbench_request(&b, CONSOLE_QUEUE_TX, p, 1), 0);
}

static ssize_t printed(void)
{
	vbench_turn(&b, 5);
	return read(out[0], text, sizeof(text));
}

TEST(s5_3_6_output)
{
	struct vbench_part p[] = {{"hel", 3, false, 0}, {"lo", 2, false, 0}};

	start();
	check_int(b.dev->ops->id, 3);
	check_int(vbench_request(&b, CONSOLE_QUEUE_TX, p, 2), 0);
	print("\n", 1);
	check_int(printed(), 6);
	check_mem(text, "hello\n", 6);
	stop();
}

TEST(s5_3_6_input)
{
	struct vbench_part p[] = {{NULL, 3, true, 0}, {NULL, 5, true, 0}};
	uint32_t len;

	start();
	check_int(write(in[1], "abcdefghij", 10), 10);
	vbench_turn(&b, 5);
	vbench_offer(&b, CONSOLE_QUEUE_RX, p, 2);
	vbench_kick(&b, CONSOLE_QUEUE_RX);
	check(vbench_wait(&b, CONSOLE_QUEUE_RX, &len) >= 0);
	check_int(len, 8);
	check_mem(vbench_host(&b, p[0].gpa), "abc", 3);
	check_mem(vbench_host(&b, p[1].gpa), "defgh", 5);
	/* A buffer that waits for input. */
	for (int i = 0; i < 2; i++) {
		p[0].gpa = 0;
		vbench_offer(&b, CONSOLE_QUEUE_RX, p, 1);
		vbench_kick(&b, CONSOLE_QUEUE_RX);
	}
	check(vbench_wait(&b, CONSOLE_QUEUE_RX, &len) >= 0);
	check_int(len, 2);
	vbench_turn(&b, 2);
	check(!vbench_used(&b, CONSOLE_QUEUE_RX));
	check_int(write(in[1], "z", 1), 1);
	check(vbench_wait(&b, CONSOLE_QUEUE_RX, &len) >= 0);
	check_int(len, 1);
	check_int(*vbench_host(&b, p[0].gpa), 'z');
	stop();
}

TEST(end_of_input)
{
	struct vbench_part p[] = {{NULL, 3, true, 0}};

	start();
	close_end(&in[1]);
	vbench_offer(&b, CONSOLE_QUEUE_RX, p, 1);
	vbench_kick(&b, CONSOLE_QUEUE_RX);
	vbench_turn(&b, 5);
	check(!vbench_used(&b, CONSOLE_QUEUE_RX));
	check(!b.needs_reset);
	stop();
}

TEST(s5_3_4_size)
{
	uint8_t c[16];

	start();
	virtio_device_config_read(b.dev, 0, c, sizeof(c));
	check_int(get_le16(c), 80);
	check_int(get_le16(c + 2), 25);
	check_int(get_le32(c + 8), 0);
	console_device_resize(b.dev, 80, 25);
	check_int(b.config_changes, 0);
	console_device_resize(b.dev, 132, 43);
	check_int(b.config_changes, 1);
	virtio_device_config_read(b.dev, 2, c, 2);
	check_int(get_le16(c), 43);
	stop();
	start_rate(0, 0, 0);
	check(!(virtio_device_features(b.dev) & 1));
	console_device_resize(b.dev, 132, 43);
	check_int(b.config_changes, 0);
	stop();
}

TEST(s5_3_5_1_emergency_write_at_any_time)
{
	struct vbench_part p[] = {{"x", 1, false, 0}};

	start();
	virtio_device_config_write(b.dev, 8, "E\1\2\3", 4);
	vbench_offer(&b, CONSOLE_QUEUE_RX, p, 1); /* cannot be written: breaks the device */
	vbench_kick(&b, CONSOLE_QUEUE_RX);
	check(b.needs_reset);
	virtio_device_config_write(b.dev, 8, "F", 1);
	virtio_device_reset(b.dev);
	virtio_device_config_write(b.dev, 8, "G\0", 2);
	virtio_device_config_write(b.dev, 9, "no", 2);
	virtio_device_config_write(b.dev, 0, "no", 2);
	check_int(printed(), 3);
	check_mem(text, "EFG", 3);
	stop();
}

TEST(output_is_bounded_and_the_guest_goes_on)
{
	static uint8_t block[8192];
	size_t sum = 0;
	ssize_t n;

	start();
	memset(block, 'x', sizeof(block));
	check(fcntl(out[1], F_SETPIPE_SZ, 4096) == 4096);
	for (int i = 0; i < 30; i++)
		print(block, sizeof(block));
	check(output_lost(output) > 0);
	check(output_lost(output) < sizeof(block) * 30);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 200; i++) {
		vbench_turn(&b, 1);
		while ((n = read(out[0], text, sizeof(text))) > 0)
			sum += (size_t)n;
	}
	check_int(sum + output_lost(output), sizeof(block) * 30);
	print("end", 3);
	check_int(printed(), 3);
	stop();
}

TEST(output_rate)
{
	static uint8_t block[4000];
	ssize_t n, sum = 0;

	start_rate(0, 0, 3000);
	print(block, sizeof(block));
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 500 && sum < 4000; i++) {
		vbench_turn(&b, 10);
		n = read(out[0], text, sizeof(text));
		/* A second's worth at once; the rest comes later. */
		check(i > 0 || n >= 3000);
		sum += n > 0 ? n : 0;
	}
	check_int(sum, 4000);
	check(output_lost(output) == 0);
	stop();
}

TEST(reader_that_has_gone)
{
	start();
	close_end(&out[0]);
	print("hello", 5);
	vbench_turn(&b, 5);
	print("hello", 5);
	vbench_turn(&b, 5);
	check_int(output_lost(output), 10);
	stop();
}

TEST(output_to_a_file)
{
	char path[128], got[8] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/log", check_tmpdir());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	vbench_init(&b, 0);
	check_ok(output_new(&output, b.loop, fd, 0, &err), &err);
	output_put(output, "abc", 3);
	vbench_turn(&b, 1);
	check_int(pread(fd, got, 8, 0), 3);
	output_put(output, "def", 3);
	output_free(output); /* at the end what is held is written */
	check_int(pread(fd, got, 8, 0), 6);
	check_mem(got, "abcdef", 6);
	b.dev = NULL;
	vbench_stop(&b);
	close(fd);
}

TEST_MAIN()
