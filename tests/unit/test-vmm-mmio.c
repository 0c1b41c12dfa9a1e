/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of the virtio-mmio transport, by clause of virtio 1.2, with a device made for it. */
#include <poll.h>

#include "host-shim/vmm/virtio/mmio.h"
#include "lib/base/bytes.h"
#include "tests/unit/check.h"
#include "tests/unit/virtq_driver.h"

#define FEATURE 5 /* of the device */

static struct {
	struct virtio_device dev;
	unsigned int activated, resets, quiesced, notified[2];
	bool was_ready; /* queue 0, when its requests were waited for */
	uint8_t config[8];
} model;

static void model_read(struct virtio_device *dev, size_t offset, void *to, size_t size)
{
	virtio_config_copy(model.config, sizeof(model.config), offset, to, size);
}

static void model_write(struct virtio_device *dev, size_t offset, const void *from, size_t size)
{
	if (offset < sizeof(model.config) && size <= sizeof(model.config) - offset)
		memcpy(model.config + offset, from, size);
}

static void model_activate(struct virtio_device *dev)
{
	model.activated++;
}

static void model_notify(struct virtio_device *dev, unsigned int queue)
{
	model.notified[queue]++;
}

static void model_reset(struct virtio_device *dev)
{
	model.resets++;
}

static void model_quiesce(struct virtio_device *dev)
{
	model.quiesced++;
	model.was_ready = dev->queues[0].ready;
}

static void model_free(struct virtio_device *dev)
{
}

static const struct virtio_device_ops ops = {.name = "model",
                                             .id = 42,
                                             .n_queues = 2,
                                             .features = VIRTIO_COMMON_FEATURES | 1u << FEATURE,
                                             .queue_size = 64,
                                             .config_read = model_read,
                                             .config_write = model_write,
                                             .activate = model_activate,
                                             .queue_notify = model_notify,
                                             .reset = model_reset,
                                             .quiesce = model_quiesce,
                                             .free = model_free};

static struct loop *loop;
static struct guest_memory memory;
static struct virtio_mmio *m;
static uint8_t *ram;

static uint32_t get(uint64_t offset)
{
	uint8_t b[4];

	virtio_mmio_bus.read(m, offset, b, 4);
	return get_le32(b);
}

static void set(uint64_t offset, uint32_t v)
{
	uint8_t b[4];

	put_le32(b, v);
	virtio_mmio_bus.write(m, offset, b, 4);
}

static void start(bool plugged)
{
	struct virtio_mmio_config c = {.memory = &memory};
	struct error err = ERROR_INIT;

	memset(&model, 0, sizeof(model));
	model.dev.ops = &ops;
	ram = calloc(1, DRIVER_SIZE);
	check_ok(guest_memory_add(&memory, DRIVER_GPA, DRIVER_SIZE, ram, false, &err), &err);
	check_ok(loop_new(&loop, &err), &err);
	c.loop = loop;
	check_ok(virtio_mmio_new(&m, &c, &err), &err);
	if (plugged)
		check_ok(virtio_mmio_plug(m, &model.dev, &err), &err);
}

static void stop(void)
{
	virtio_mmio_free(m);
	loop_free(loop);
	guest_memory_clear(&memory);
	free(ram);
}

static void leave(void *data)
{
	loop_exit(loop, 0);
}

static void turn(void)
{
	for (int i = 0; i < 3; i++) {
		loop_defer(loop, leave, NULL);
		loop_run(loop, NULL);
	}
}

static bool interrupted(void)
{
	struct pollfd p = {.fd = virtio_mmio_irq_fd(m), .events = POLLIN};
	uint64_t count;

	return poll(&p, 1, 0) == 1 && read(p.fd, &count, 8) == 8;
}

static void negotiate(void)
{
	set(0x70, 1);
	set(0x70, 3);
	set(0x24, 1);
	set(0x20, 1); /* VERSION_1 */
	set(0x24, 0);
	set(0x20, 1u << FEATURE);
	set(0x70, 11);
}

static void set_queue(unsigned int i, uint32_t size, uint64_t desc)
{
	set(0x30, i);
	set(0x38, size);
	set(0x80, (uint32_t)desc);
	set(0x84, (uint32_t)(desc >> 32));
	set(0x90, (uint32_t)desc + 0x4000);
	set(0x94, (uint32_t)(desc >> 32));
	set(0xa0, (uint32_t)desc + 0x6000);
	set(0xa4, (uint32_t)(desc >> 32));
	set(0x44, 1);
}

static void bring_up(void)
{
	negotiate();
	set_queue(0, 16, DRIVER_GPA);
	set_queue(1, 64, DRIVER_GPA + 0x10000);
	set(0x70, 15);
}

TEST(s4_2_2_identification)
{
	start(true);
	check_int(get(0), 0x74726976);
	check_int(get(4), 2);
	check_int(get(8), 42);
	stop();
}

TEST(s4_2_2_an_empty_slot_is_a_placeholder)
{
	start(false);
	check_int(get(0), 0x74726976);
	check_int(get(4), 2);
	check_int(get(8), 0);
	for (uint64_t o = 0x10; o < 0x200; o += 4) {
		set(o, 0xffffffff);
		check_int(get(o), 0);
	}
	stop();
}

TEST(slots_are_filled_and_emptied_while_the_machine_runs)
{
	struct virtio_mmio_config c = {.memory = &memory};
	struct virtio_mmio *second = NULL;
	struct error err = ERROR_INIT;

	start(false);
	c.loop = loop;
	check_ok(virtio_mmio_plug(m, &model.dev, &err), &err);
	check_int(virtio_mmio_plug(m, &model.dev, &err), -EBUSY);
	check_ok(virtio_mmio_new(&second, &c, &err), &err);
	check_int(virtio_mmio_plug(second, &model.dev, &err), -EBUSY);
	virtio_mmio_free(second);
	check_int(get(8), 42);
	bring_up();
	check_int(model.activated, 1);
	check_ok(virtio_mmio_plug(m, NULL, &err), &err);
	check_int(get(8), 0);
	check(!model.dev.active);
	stop();
}

TEST(s4_2_2_1_features_are_windows_of_32)
{
	start(true);
	set(0x14, 0);
	check_int(get(0x10), (uint32_t)ops.features);
	set(0x14, 1);
	check_int(get(0x10), 1);
	set(0x14, 2);
	check_int(get(0x10), 0);
	stop();
}

TEST(s3_1_1_a_driver_comes_up)
{
	start(true);
	check_int(get(0x70), 0);
	bring_up();
	check_int(get(0x70), 15);
	check_int(model.activated, 1);
	check_int(model.dev.negotiated, 1ull << VIRTIO_F_VERSION_1 | 1u << FEATURE);
	check(model.dev.queues[0].ready && model.dev.queues[1].ready);
	check_int(model.dev.queues[0].size, 16);
	check_int(get(0x44), 1);
	stop();
}

TEST(s2_2_2_features_that_were_not_offered)
{
	start(true);
	set(0x70, 3);
	set(0x24, 0);
	set(0x20, 1u << 7);
	set(0x24, 1);
	set(0x20, 1);
	set(0x70, 11);
	check_int(get(0x70), 3); /* FEATURES_OK stays 0 */
	set(0x70, 15);
	check_int(get(0x70) & 4, 0);
	check_int(model.activated, 0);
	stop();
}

TEST(s6_1_a_driver_without_version_1)
{
	start(true);
	set(0x70, 3);
	set(0x20, 1u << FEATURE);
	set(0x70, 11);
	check_int(get(0x70), 3);
	stop();
}

TEST(s2_4_reset_forgets_everything)
{
	start(true);
	bring_up();
	set(0x70, 0);
	check_int(model.resets, 1);
	check_int(get(0x70), 0);
	check_int(get(0x44), 0);
	check(!model.dev.queues[0].ready && !model.dev.active);
	check_int(model.dev.negotiated, 0);
	bring_up(); /* and again */
	check_int(model.activated, 2);
	stop();
}

TEST(s2_1_2_bits_are_not_cleared_but_by_reset)
{
	start(true);
	bring_up();
	set(0x70, 1);
	check_int(get(0x70), 15);
	set(0x70, 128 | 15);
	check_int(get(0x70), 143);
	stop();
}

TEST(s4_2_3_3_notifications)
{
	start(true);
	bring_up();
	set(0x50, 1);
	set(0x50, 2); /* there is none */
	set(0x50, 0xffffffff);
	turn();
	check_int(model.notified[0], 0);
	check_int(model.notified[1], 1);
	stop();
}

TEST(s4_2_3_3_notifications_before_driver_ok)
{
	start(true);
	negotiate();
	set(0x50, 0);
	turn();
	check_int(model.notified[0], 0);
	stop();
}

TEST(s4_2_3_4_interrupts)
{
	start(true);
	bring_up();
	check(!interrupted());
	model.dev.transport.interrupt(model.dev.transport.data, 0);
	check(interrupted());
	check_int(get(0x60), 1);
	virtio_device_config_changed(&model.dev);
	check(interrupted());
	check_int(get(0x60), 3);
	set(0x64, 1);
	check_int(get(0x60), 2);
	set(0x64, 2);
	check_int(get(0x60), 0);
	stop();
}

TEST(s2_1_2_a_broken_device_needs_reset)
{
	start(true);
	bring_up();
	virtio_device_broken(&model.dev, "test");
	check(interrupted());
	check_int(get(0x70), 64 | 15);
	check_int(get(0x60), 2);
	set(0x70, 0);
	check_int(get(0x70), 0);
	check(!model.dev.needs_reset);
	stop();
}

TEST(s2_5_configuration_space)
{
	uint8_t b[8];

	start(true);
	memcpy(model.config, "\1\2\3\4\5\6\7\10", 8);
	check_int(get(0x100), 0x04030201);
	virtio_mmio_bus.read(m, 0x105, b, 1);
	check_int(b[0], 6);
	virtio_mmio_bus.read(m, 0x102, b, 2);
	check_int(get_le16(b), 0x0403);
	virtio_mmio_bus.read(m, 0xff8, b, 8);
	check_int(b[0], 0);
	put_le16(b, 0xabcd);
	virtio_mmio_bus.write(m, 0x106, b, 2);
	check_int(model.config[6], 0xcd);
	stop();
}

TEST(s2_5_1_generation_counts_changes)
{
	uint32_t before;

	start(true);
	before = get(0xfc);
	bring_up();
	virtio_device_config_changed(&model.dev);
	check(get(0xfc) != before);
	stop();
}

TEST(s4_2_2_2_registers_are_32_bits_wide)
{
	uint8_t b[8] = {15};

	start(true);
	virtio_mmio_bus.read(m, 0, b, 1);
	check_int(b[0], 0);
	b[0] = 15;
	virtio_mmio_bus.write(m, 0x70, b, 1);
	virtio_mmio_bus.write(m, 0x71, b, 4);
	virtio_mmio_bus.write(m, 0x70, b, 8);
	check_int(get(0x70), 0);
	stop();
}

TEST(s4_2_2_no_shared_memory)
{
	start(true);
	set(0xac, 0);
	for (uint64_t o = 0xb0; o <= 0xbc; o += 4)
		check_int(get(o), -1u);
	stop();
}

TEST(s4_2_3_2_queue_sizes)
{
	start(true);
	negotiate();
	set(0x30, 0);
	check_int(get(0x34), 64);
	set(0x30, 2);
	check_int(get(0x34), 0); /* no such queue */
	set(0x44, 1);
	check_int(get(0x44), 0);
	set_queue(0, 128, DRIVER_GPA); /* more than the most */
	check_int(get(0x44), 0);
	check_int(get(0x70) & 64, 64);
	stop();
}

TEST(s2_7_queues_outside_memory)
{
	static const uint64_t places[] = {0, DRIVER_GPA + 8, DRIVER_GPA + DRIVER_SIZE - 16,
	                                  UINT64_MAX - 4096, 1ull << 63};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		start(true);
		negotiate();
		set_queue(0, 16, places[i]);
		check_int(get(0x44), 0);
		check_int(get(0x70), 64 | 11);
		set(0x70, 15);
		check_int(model.activated, 0);
		stop();
	}
}

TEST(s4_2_2_1_a_ready_queue_keeps_its_place)
{
	start(true);
	negotiate();
	set_queue(0, 16, DRIVER_GPA);
	set(0x38, 32);
	set(0x80, 0);
	set(0x44, 0);
	check_int(get(0x44), 0);
	check(!model.dev.queues[0].ready);
	set(0x44, 1);
	check_int(model.dev.queues[0].size, 16);
	check_int(get(0x44), 1);
	stop();
}

/* A driver that reads 0 back has the ring and the buffers to itself; other queues go on. */
TEST(s4_2_2_1_a_queue_is_taken_back)
{
	start(true);
	negotiate();
	set_queue(0, 16, DRIVER_GPA);
	set_queue(1, 16, DRIVER_GPA + 0x10000);
	set(0x70, 15);
	model.quiesced = model.notified[1] = 0;
	set(0x30, 0);
	set(0x44, 0);
	check_int(get(0x44), 0);
	check_int(model.quiesced, 1);
	check(model.was_ready);
	check(!model.dev.queues[0].ready && !model.dev.queues[0].held);
	check(model.dev.queues[1].ready && !model.dev.queues[1].held);
	check_int(model.notified[1], 1); /* for what came meanwhile */
	stop();
}

TEST(s3_1_1_queues_after_driver_ok)
{
	start(true);
	negotiate();
	set(0x70, 15);
	set_queue(0, 16, DRIVER_GPA);
	check_int(get(0x44), 0);
	check(!model.dev.queues[0].ready);
	stop();
}

/* Linux asks for the status of a device that works once at most, after its driver's probe. */
TEST(who_asks_twice_for_the_status_of_a_device_that_works_is_noted_once)
{
	uint64_t first;

	start(true);
	negotiate();
	get(0x70);
	get(0x70);
	get(0x70);
	check_int(virtio_mmio_asked_ns(m), 0); /* it does not work yet */
	set(0x70, 15);
	get(0x70);
	get(0x60);
	check_int(virtio_mmio_asked_ns(m), 0);
	set(0x70, 0);
	bring_up();
	get(0x70);
	check_int(virtio_mmio_asked_ns(m), 0); /* a reset is a new beginning */
	get(0x70);
	first = virtio_mmio_asked_ns(m);
	check(first > 0 && first <= loop_now_ns());
	get(0x70);
	set(0x70, 15);
	get(0x70);
	get(0x70);
	check(virtio_mmio_asked_ns(m) == first);
	stop();
}

TEST_MAIN()
