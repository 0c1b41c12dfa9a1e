/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of the split virtqueue's device side, by clause of virtio 1.2 §2.7, and guest memory.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "check.h"
#include "tests/unit/virtq_driver.h"

#define INDIRECT (1ull << VIRTIO_F_INDIRECT_DESC)
#define EVENTS   (1ull << VIRTIO_F_EVENT_IDX)

static uint8_t *ram;
static struct guest_memory memory;
static struct virtqueue queue;
static struct driver_ring ring;
static struct virtqueue_chain chain;

static void setup(uint16_t size, uint64_t features)
{
	struct error err = ERROR_INIT;
	struct virtqueue_layout l;

	ram = calloc(1, DRIVER_SIZE);
	memset(&memory, 0, sizeof(memory));
	memset(&queue, 0, sizeof(queue));
	ring = (struct driver_ring){.base = ram, .size = size};
	check_ok(guest_memory_add(&memory, DRIVER_GPA, DRIVER_SIZE, ram, false, &err), &err);
	l = driver_layout(&ring, features);
	check_ok(virtqueue_start(&queue, &memory, &l, &err), &err);
}

static void teardown(void)
{
	virtqueue_stop(&queue);
	guest_memory_clear(&memory);
	free(ram);
}

static uint64_t data_at(uint64_t offset)
{
	return DRIVER_GPA + driver_data(&ring) + offset;
}

static void check_broken(void)
{
	check_int(virtqueue_pop(&queue, &chain), -EPROTO);
	check(queue.broken != NULL);
	/* And stays so, whatever the ring says now. */
	check_int(virtqueue_pop(&queue, &chain), -EPROTO);
	virtqueue_push(&queue, 0, 0);
	check(!virtqueue_publish(&queue));
	check_int(driver_used_idx(&ring), 0);
}

TEST(memory_ranges_are_bounded)
{
	uint8_t a[4096], b[4096];
	struct guest_memory m = {0};
	struct error err = ERROR_INIT;
	struct iovec iov[4];

	check_ok(guest_memory_add(&m, 0x2000, 4096, b, true, &err), &err);
	check_ok(guest_memory_add(&m, 0x1000, 4096, a, false, &err), &err);
	check_int(guest_memory_add(&m, 0x1fff, 2, a, false, NULL), -EINVAL);
	check_int(guest_memory_add(&m, 0x1000, 4096, a, false, NULL), -EINVAL);
	check_int(guest_memory_add(&m, 0x5000, 0, a, false, NULL), -EINVAL);
	check_int(guest_memory_add(&m, UINT64_MAX - 10, 4096, a, false, NULL), -EINVAL);
	check(guest_memory_ptr(&m, 0x1000, 4096, GUEST_WRITE) == a);
	check(guest_memory_ptr(&m, 0x1fff, 1, GUEST_WRITE) == a + 4095);
	check(!guest_memory_ptr(&m, 0x1fff, 2, GUEST_READ));
	check(!guest_memory_ptr(&m, 0xfff, 2, GUEST_READ));
	check(!guest_memory_ptr(&m, 0x1000, 0, GUEST_READ));
	check(!guest_memory_ptr(&m, 0x1010, UINT64_MAX, GUEST_READ));
	check(guest_memory_ptr(&m, 0x2000, 1, GUEST_READ) == b);
	check(!guest_memory_ptr(&m, 0x2000, 1, GUEST_WRITE));
	/* A range over two regions comes in two pieces, unless one forbids it. */
	check_int(guest_memory_iov(&m, 0x1ff0, 0x20, GUEST_READ, iov, 4), 2);
	check(iov[0].iov_base == a + 0xff0 && iov[0].iov_len == 16);
	check(iov[1].iov_base == b && iov[1].iov_len == 16);
	check_int(guest_memory_iov(&m, 0x1ff0, 0x20, GUEST_WRITE, iov, 4), -EFAULT);
	check_int(guest_memory_iov(&m, 0x1ff0, 0x20, GUEST_READ, iov, 1), -ENOSPC);
	check_int(guest_memory_iov(&m, 0x1ff0, UINT64_MAX, GUEST_READ, iov, 4), -EFAULT);
	check_int(guest_memory_iov(&m, 0x1000, 0, GUEST_READ, iov, 4), 0);
	guest_memory_clear(&m);
}

TEST(memory_file_must_be_long_enough)
{
	struct guest_memory m = {0};
	struct error err = ERROR_INIT;
	int fd = memfd_create("ram", MFD_CLOEXEC);
	uint8_t *p;

	check(fd >= 0 && ftruncate(fd, 8192) == 0);
	check_int(guest_memory_map(&m, 0, 8193, fd, 0, false, NULL), -EINVAL);
	check_int(guest_memory_map(&m, 0, 8192, fd, 1, false, NULL), -EINVAL);
	check_int(guest_memory_map(&m, 0, 8192, fd, UINT64_MAX, false, NULL), -EINVAL);
	check_ok(guest_memory_map(&m, 0x10000, 4096, fd, 4096, false, &err), &err);
	p = guest_memory_ptr(&m, 0x10000, 4096, GUEST_WRITE);
	check(p != NULL);
	p[1] = 42;
	check(pread(fd, ram = malloc(1), 1, 4097) == 1 && *ram == 42);
	free(ram);
	guest_memory_clear(&m);
	close(fd);
}

TEST(s2_7_size_must_be_a_power_of_two)
{
	static const uint16_t bad[] = {0, 3, 100, 2048, 65535};
	struct virtqueue_layout l;

	setup(8, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		l = driver_layout(&ring, 0);
		l.size = bad[i];
		check_int(virtqueue_start(&queue, &memory, &l, NULL), -EINVAL);
		check_int(virtqueue_pop(&queue, &chain), 0);
	}
	teardown();
}

TEST(s2_7_parts_must_be_aligned_and_in_memory)
{
	struct virtqueue_layout l;

	setup(8, 0);
	l = driver_layout(&ring, 0);
	l.desc += 8;
	check_int(virtqueue_start(&queue, &memory, &l, NULL), -EINVAL);
	l = driver_layout(&ring, 0);
	l.avail += 1;
	check_int(virtqueue_start(&queue, &memory, &l, NULL), -EINVAL);
	l = driver_layout(&ring, 0);
	l.used += 2;
	check_int(virtqueue_start(&queue, &memory, &l, NULL), -EINVAL);
	l = driver_layout(&ring, 0);
	l.used = DRIVER_GPA + DRIVER_SIZE - 64; /* 6 + 8 * 8 bytes do not fit */
	check_int(virtqueue_start(&queue, &memory, &l, NULL), -EINVAL);
	l = driver_layout(&ring, 0);
	l.desc = 0;
	check_int(virtqueue_start(&queue, &memory, &l, NULL), -EINVAL);
	teardown();
}

TEST(used_ring_must_be_writable)
{
	struct guest_memory m = {0};
	struct virtqueue q = {0};
	struct virtqueue_layout l;

	setup(8, 0);
	check_int(guest_memory_add(&m, DRIVER_GPA, DRIVER_SIZE, ram, true, NULL), 0);
	l = driver_layout(&ring, 0);
	check_int(virtqueue_start(&q, &m, &l, NULL), -EINVAL);
	teardown();
}

TEST(s2_7_5_chain_of_readable_and_writable)
{
	uint32_t id = 99, len = 99;

	setup(8, 0);
	check_int(virtqueue_pop(&queue, &chain), 0);
	driver_put_desc(&ring, 3, (struct vq_desc){data_at(0), 10, VIRTQ_DESC_F_NEXT, 5});
	driver_put_desc(
	    &ring, 5,
	    (struct vq_desc){data_at(100), 20, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 1});
	driver_put_desc(&ring, 1, (struct vq_desc){data_at(200), 30, VIRTQ_DESC_F_WRITE, 7});
	driver_offer(&ring, 3);
	check_int(virtqueue_pop(&queue, &chain), 1);
	check_int(chain.head, 3);
	check_int(chain.n_read, 1);
	check_int(chain.n_write, 2);
	check_int(chain.read_size, 10);
	check_int(chain.write_size, 50);
	check(chain_readable(&chain)[0].iov_base == ram + driver_data(&ring));
	check(chain_writable(&chain)[1].iov_base == ram + driver_data(&ring) + 200);
	check_int(virtqueue_pop(&queue, &chain), 0);
	virtqueue_push(&queue, 3, 44);
	check_int(driver_take(&ring, &id, &len), 0); /* not before it is published */
	check(virtqueue_publish(&queue));
	check_int(driver_take(&ring, &id, &len), 1);
	check_int(id, 3);
	check_int(len, 44);
	teardown();
}

TEST(chain_can_be_put_back)
{
	setup(8, 0);
	driver_put_desc(&ring, 0, (struct vq_desc){data_at(0), 10, 0, 0});
	driver_offer(&ring, 0);
	check_int(virtqueue_pop(&queue, &chain), 1);
	virtqueue_unpop(&queue);
	check_int(queue.counters.chains, 0);
	check_int(queue.counters.read, 0);
	check_int(virtqueue_pop(&queue, &chain), 1);
	check_int(chain.read_size, 10);
	virtqueue_push(&queue, chain.head, 7);
	check_int(queue.counters.chains, 1);
	check_int(queue.counters.read, 10);
	check_int(queue.counters.written, 7);
	virtqueue_stop(&queue); /* a reset is no new beginning */
	check_int(queue.counters.read, 10);
	teardown();
}

TEST(s2_7_6_indices_wrap)
{
	uint32_t id, len;

	setup(4, 0);
	driver_put_desc(&ring, 2, (struct vq_desc){data_at(0), 1, 0, 0});
	for (unsigned int i = 0; i < 70000; i++) {
		driver_offer(&ring, 2);
		check_int(virtqueue_pop(&queue, &chain), 1);
		virtqueue_push(&queue, chain.head, i & 0xffff);
		virtqueue_publish(&queue);
		check_int(driver_take(&ring, &id, &len), 1);
		check_int(len, i & 0xffff);
	}
	check_int(virtqueue_pop(&queue, &chain), 0);
	teardown();
}

TEST(s2_7_4_2_readable_after_writable_is_broken)
{
	setup(8, 0);
	driver_put_desc(&ring, 0, (struct vq_desc){data_at(0), 10, VIRTQ_DESC_F_WRITE | 1, 1});
	driver_put_desc(&ring, 1, (struct vq_desc){data_at(0), 10, 0, 0});
	driver_offer(&ring, 0);
	check_broken();
	teardown();
}

TEST(s2_7_5_address_outside_memory_is_broken)
{
	static const struct vq_desc bad[] = {
	    {0, 16, 0, 0},
	    {DRIVER_GPA + DRIVER_SIZE - 15, 16, 0, 0},
	    {UINT64_MAX - 3, 16, 0, 0},
	    {DRIVER_GPA, UINT32_MAX, 0, 0},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setup(8, 0);
		driver_put_desc(&ring, 0, bad[i]);
		driver_offer(&ring, 0);
		check_broken();
		teardown();
	}
}

TEST(s2_7_5_loop_is_broken)
{
	setup(8, 0);
	driver_put_desc(&ring, 0, (struct vq_desc){data_at(0), 1, VIRTQ_DESC_F_NEXT, 1});
	driver_put_desc(&ring, 1, (struct vq_desc){data_at(0), 1, VIRTQ_DESC_F_NEXT, 0});
	driver_offer(&ring, 0);
	check_broken();
	teardown();
}

TEST(s2_7_5_next_out_of_range_is_broken)
{
	setup(8, 0);
	driver_put_desc(&ring, 0, (struct vq_desc){data_at(0), 1, VIRTQ_DESC_F_NEXT, 8});
	driver_offer(&ring, 0);
	check_broken();
	teardown();
}

TEST(s2_7_6_head_out_of_range_is_broken)
{
	setup(8, 0);
	driver_offer(&ring, 8);
	check_broken();
	teardown();
}

TEST(s2_7_6_index_running_away_is_broken)
{
	setup(8, 0);
	ring.next = 8;
	driver_offer(&ring, 0);
	check_broken();
	teardown();
}

/* Writes an indirect table of n entries of 4 bytes at data offset 4096; returns its size. */
static uint32_t put_table(unsigned int n, uint16_t extra_flags)
{
	for (unsigned int i = 0; i < n; i++) {
		struct vq_desc d = {data_at(4 * i), 4,
		                    (uint16_t)((i + 1 < n ? VIRTQ_DESC_F_NEXT : 0) | extra_flags),
		                    (uint16_t)(i + 1)};

		memcpy(ram + driver_data(&ring) + 4096 + 16 * i, &d, 16);
	}
	return 16 * n;
}

TEST(s2_7_5_3_indirect_table)
{
	setup(8, INDIRECT);
	/* §2.7.5.3.2: normal descriptors may come before; the write flag of the one that
	 * refers to the table is ignored. */
	driver_put_desc(&ring, 0, (struct vq_desc){data_at(0), 7, VIRTQ_DESC_F_NEXT, 1});
	driver_put_desc(&ring, 1,
	                (struct vq_desc){data_at(4096), put_table(3, 0),
	                                 VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_WRITE, 0});
	driver_offer(&ring, 0);
	check_int(virtqueue_pop(&queue, &chain), 1);
	check_int(chain.n_read, 4);
	check_int(chain.read_size, 19);
	teardown();
}

/* "anywhere in memory": no alignment is asked of a table, only of the rings (§2.7). */
TEST(s2_7_5_3_indirect_table_anywhere)
{
	for (uint64_t at = 1; at < 16; at++) {
		uint32_t size;

		setup(8, INDIRECT);
		size = put_table(3, 0);
		memmove(ram + driver_data(&ring) + 4096 + at, ram + driver_data(&ring) + 4096,
		        size);
		driver_put_desc(
		    &ring, 0, (struct vq_desc){data_at(4096 + at), size, VIRTQ_DESC_F_INDIRECT, 0});
		driver_offer(&ring, 0);
		check_int(virtqueue_pop(&queue, &chain), 1);
		check_int(chain.n_read, 3);
		check_int(chain.read_size, 12);
		teardown();
	}
}

TEST(s2_7_5_3_1_indirect_rules)
{
	static const struct {
		unsigned int n;
		uint16_t flags, table_flags;
		int32_t size_change;
		uint64_t features;
	} bad[] = {
	    {3, VIRTQ_DESC_F_INDIRECT, 0, 0, 0},                            /* not negotiated */
	    {3, VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT, 0, 0, INDIRECT}, /* both */
	    {1, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_INDIRECT, 0, INDIRECT}, /* nested */
	    {9, VIRTQ_DESC_F_INDIRECT, 0, 0, INDIRECT}, /* longer than the queue */
	    {3, VIRTQ_DESC_F_INDIRECT, 0, -1, INDIRECT},
	    {1, VIRTQ_DESC_F_INDIRECT, 0, -16, INDIRECT}, /* empty */
	    {3, VIRTQ_DESC_F_INDIRECT, 0, -16, INDIRECT}, /* next beyond the table */
	    {3, VIRTQ_DESC_F_INDIRECT, 0, 1 << 24, INDIRECT},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint32_t size;

		setup(8, bad[i].features);
		size = put_table(bad[i].n, bad[i].table_flags);
		driver_put_desc(&ring, 0,
		                (struct vq_desc){data_at(4096),
		                                 (uint32_t)((int32_t)size + bad[i].size_change),
		                                 bad[i].flags, 1});
		driver_put_desc(&ring, 1, (struct vq_desc){data_at(0), 4, 0, 0});
		driver_offer(&ring, 0);
		check_broken();
		teardown();
	}
}

TEST(s2_7_7_no_interrupt_flag)
{
	uint16_t flag = VIRTQ_AVAIL_F_NO_INTERRUPT;

	setup(8, 0);
	memcpy(driver_avail(&ring), &flag, 2);
	virtqueue_push(&queue, 0, 0);
	check(!virtqueue_publish(&queue));
	flag = 0;
	memcpy(driver_avail(&ring), &flag, 2);
	check(virtqueue_publish(&queue));
	teardown();
}

static void set_used_event(uint16_t v)
{
	memcpy(driver_avail(&ring) + 4 + 2 * ring.size, &v, 2);
}

TEST(s2_7_7_used_event)
{
	setup(8, EVENTS);
	set_used_event(0);
	virtqueue_push(&queue, 0, 0);
	check(virtqueue_publish(&queue)); /* entry 0 was waited for */
	set_used_event(3);
	virtqueue_push(&queue, 0, 0);
	check(!virtqueue_publish(&queue)); /* 1 */
	virtqueue_push(&queue, 0, 0);
	virtqueue_push(&queue, 0, 0);
	check(virtqueue_publish(&queue)); /* 2 and 3 */
	virtqueue_push(&queue, 0, 0);
	check(!virtqueue_publish(&queue)); /* 4: not asked for again */
	teardown();
}

TEST(s2_7_10_notification_suppression)
{
	uint16_t v;

	setup(8, 0);
	virtqueue_notify_off(&queue);
	memcpy(&v, driver_used(&ring), 2);
	check_int(v, VIRTQ_USED_F_NO_NOTIFY);
	check(!virtqueue_notify_on(&queue));
	memcpy(&v, driver_used(&ring), 2);
	check_int(v, 0);
	driver_put_desc(&ring, 0, (struct vq_desc){data_at(0), 1, 0, 0});
	driver_offer(&ring, 0);
	check(virtqueue_notify_on(&queue)); /* came before it was on: look again */
	teardown();

	setup(8, EVENTS);
	driver_put_desc(&ring, 0, (struct vq_desc){data_at(0), 1, 0, 0});
	driver_offer(&ring, 0);
	check_int(virtqueue_pop(&queue, &chain), 1);
	check(!virtqueue_notify_on(&queue));
	memcpy(&v, driver_used(&ring) + 4 + 8 * ring.size, 2);
	check_int(v, 1); /* avail_event: notify for the next */
	teardown();
}

TEST(goes_on_where_another_owner_left_it)
{
	struct virtqueue_layout l;
	uint32_t id, len;

	setup(8, 0);
	driver_put_desc(&ring, 0, (struct vq_desc){data_at(0), 1, 0, 0});
	driver_offer(&ring, 0);
	check_int(virtqueue_pop(&queue, &chain), 1);
	virtqueue_push(&queue, 0, 5);
	virtqueue_publish(&queue);
	l = driver_layout(&ring, 0);
	l.next_avail = queue.next_avail;
	check_int(virtqueue_start(&queue, &memory, &l, NULL), 0);
	driver_offer(&ring, 0);
	check_int(virtqueue_pop(&queue, &chain), 1);
	virtqueue_push(&queue, 0, 6);
	virtqueue_publish(&queue);
	check_int(driver_take(&ring, &id, &len), 1);
	check_int(driver_take(&ring, &id, &len), 1);
	check_int(len, 6);
	teardown();
}

TEST_MAIN()
