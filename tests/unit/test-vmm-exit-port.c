/* SPDX-License-Identifier: Apache-2.0 */
/* The exit port on plain memory, by clause of virtio 1.2 §5.3. */
#include "host-shim/vmm/devices/exit_port.h"
#include "tests/unit/check.h"
#include "tests/unit/virtio_bench.h"

static struct vbench b;
static int status, calls;

static void told(void *data, unsigned int s)
{
	status = (int)s;
	calls++;
}

static void start(void)
{
	struct error err = ERROR_INIT;

	status = -1;
	calls = 0;
	vbench_init(&b, 0);
	check_ok(exit_port_device_new(&b.dev, b.loop, told, NULL, &err), &err);
	vbench_start(&b, 32, ~0ull);
}

static void stop(void)
{
	virtio_device_free(b.dev);
	b.dev = NULL;
	vbench_stop(&b);
}

static void control(uint32_t port, uint16_t event, uint16_t value)
{
	uint8_t m[8];
	struct vbench_part p[] = {{m, sizeof(m), false, 0}};

	put_le32(m, port);
	put_le16(m + 4, event);
	put_le16(m + 6, value);
	check_int(vbench_request(&b, EXIT_PORT_QUEUE_CONTROL_TX, p, 1), 0);
}

static uint64_t buffer(void)
{
	uint64_t gpa = vbench_alloc(&b, NULL, 64);
	struct vbench_part p[] = {{NULL, 64, true, gpa}};

	vbench_offer(&b, EXIT_PORT_QUEUE_CONTROL_RX, p, 1);
	vbench_kick(&b, EXIT_PORT_QUEUE_CONTROL_RX);
	return gpa;
}

static void expect(uint64_t gpa, uint16_t event, uint32_t size)
{
	uint32_t len;
	uint8_t *m = vbench_host(&b, gpa);

	check(vbench_wait(&b, EXIT_PORT_QUEUE_CONTROL_RX, &len) >= 0);
	check_int(len, size);
	check_int(get_le32(m), 1);
	check_int(get_le16(m + 4), event);
	check_int(get_le16(m + 6), 1);
	if (event == 7)
		check_mem(m + 8, "kihon.exit", 10);
}

static void say(const char *text)
{
	struct vbench_part p[] = {{text, (uint32_t)strlen(text), false, 0}};

	check_int(vbench_request(&b, EXIT_PORT_QUEUE_TX, p, 1), 0);
}

TEST(s5_3_4_two_ports_at_most)
{
	uint8_t config[12];

	start();
	virtio_device_config_read(b.dev, 0, config, sizeof(config));
	check_int(get_le32(config + 4), 2);
	check(virtio_device_features(b.dev) & 2);
	stop();
}

TEST(s5_3_6_2_the_port_is_added_named_and_open)
{
	uint64_t one, two, three;

	start();
	one = buffer();
	check(!vbench_used(&b, EXIT_PORT_QUEUE_CONTROL_RX));
	control(0, 0, 1); /* the device is ready */
	expect(one, 1, 8);
	two = buffer();
	three = buffer();
	check(!vbench_used(&b, EXIT_PORT_QUEUE_CONTROL_RX));
	control(1, 3, 1); /* the port is */
	expect(two, 6, 8);
	expect(three, 7, 18);
	stop();
}

/* A driver that says twice that it is ready has the port; after a reset it has none. */
TEST(s5_3_6_2_1_a_port_that_exists_is_not_added)
{
	uint64_t one;

	start();
	one = buffer();
	control(0, 0, 1);
	expect(one, 1, 8);
	buffer();
	control(0, 0, 1);
	check(!vbench_used(&b, EXIT_PORT_QUEUE_CONTROL_RX));
	virtio_device_reset(b.dev);
	vbench_start(&b, 32, ~0ull);
	one = buffer();
	control(0, 0, 1);
	expect(one, 1, 8);
	stop();
}

TEST(messages_wait_for_buffers_and_do_not_grow)
{
	uint64_t one;

	start();
	for (int i = 0; i < 100; i++)
		control(0, 0, 1);
	one = buffer();
	expect(one, 1, 8);
	buffer();
	check(!vbench_used(&b, EXIT_PORT_QUEUE_CONTROL_RX));
	stop();
}

TEST(the_first_whole_line_counts)
{
	start();
	say("ex");
	say("it 4");
	check_int(calls, 0);
	say("2\nexit 3\n");
	check_int(status, 42);
	say("exit 4\n");
	check_int(calls, 1);
	stop();
}

TEST(what_is_no_status_is_none)
{
	static const char *const lines[] = {"exit 256\n", "exit -1\n", "exit\n", "\n", "quit 1\n"};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		start();
		say(lines[i]);
		say("exit 1\n");
		check_int(calls, 0);
		stop();
	}
}

TEST(an_endless_line_is_not_kept)
{
	char text[1000];

	start();
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 50; i++)
		say(text);
	check_int(calls, 0);
	stop();
}

TEST(s5_3_6_2_other_control_messages_are_passed_over)
{
	uint8_t short_one[4] = {0};
	struct vbench_part p[] = {{short_one, sizeof(short_one), false, 0}};

	start();
	check_int(vbench_request(&b, EXIT_PORT_QUEUE_CONTROL_TX, p, 1), 0);
	control(1, 0xffff, 1);
	control(7, 3, 1);
	control(0, 0, 0);
	buffer();
	check(!vbench_used(&b, EXIT_PORT_QUEUE_CONTROL_RX));
	stop();
}

TEST_MAIN()
