/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of the memory device on plain memory, by clause of virtio 1.2 §5.15. */
#include <sys/mman.h>
#include <sys/stat.h>

#include "check.h"
#include "host-shim/vmm/devices/mem.h"
#include "tests/unit/virtio_bench.h"

#define GPA    0x200000000ull
#define BLOCK  (2ull << 20)
#define BLOCKS 16
#define SIZE   (BLOCK * BLOCKS)

#define PLUG       0
#define UNPLUG     1
#define UNPLUG_ALL 2
#define STATE      3

#define ACK   0
#define NACK  1
#define BUSY  2
#define ERROR 3

#define PLUGGED   0
#define UNPLUGGED 1
#define MIXED     2

static struct vbench b;
static struct error err = ERROR_INIT;
static uint8_t *host;
static int fd, refuse;
static unsigned int slots; /* blocks that the "machine" has given to the guest */
static uint16_t state;     /* of the last answer */

static int set(void *data, uint64_t gpa, uint64_t size, bool on)
{
	if (refuse)
		return -ENOMEM;
	check(gpa >= GPA && gpa + size <= GPA + SIZE && size % BLOCK == 0 && gpa % BLOCK == 0);
	slots = on ? slots + (unsigned int)(size / BLOCK) : slots - (unsigned int)(size / BLOCK);
	return 0;
}

static void start(uint64_t features)
{
	struct mem_config config = {
	    .gpa = GPA, .size = SIZE, .block = BLOCK, .requested = 8 * BLOCK, .set = set};

	vbench_init(&b, 0);
	fd = memfd_create("mem", MFD_CLOEXEC);
	check(fd >= 0 && ftruncate(fd, SIZE) == 0);
	host = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(host != MAP_FAILED);
	config.host = host;
	check_ok(mem_device_new(&b.dev, b.loop, &config, &err), &err);
	check_ok(mem_device_add_memory(b.dev, &b.memory, &err), &err);
	vbench_start(&b, 64, features);
}

static void stop(void)
{
	vbench_stop(&b);
	munmap(host, SIZE);
	close(fd);
}

/* The type of the answer, or -1. */
static int request(uint16_t type, uint64_t addr, uint16_t n)
{
	uint8_t req[24];
	struct vbench_part p[] = {{req, 24, false, 0}, {NULL, 10, true, 0}};

	memset(req, 0xee, sizeof(req)); /* padding is ignored */
	put_le16(req, type);
	put_le64(req + 8, addr);
	put_le16(req + 16, n);
	if (vbench_request(&b, 0, p, 2) != 10)
		return -1;
	state = get_le16(vbench_host(&b, p[1].gpa) + 8);
	return get_le16(vbench_host(&b, p[1].gpa));
}

static int state_of(unsigned int block, uint16_t n)
{
	check_int(request(STATE, GPA + block * BLOCK, n), ACK);
	return state;
}

static uint64_t config_field(size_t offset)
{
	uint8_t c[8];

	virtio_device_config_read(b.dev, offset, c, 8);
	return get_le64(c);
}

static long pages(void)
{
	struct stat st;

	check(fstat(fd, &st) == 0);
	return st.st_blocks / 8;
}

TEST(s5_15_4_configuration)
{
	start(~0ull);
	check_int(b.dev->ops->id, 24);
	check(config_field(0) == BLOCK);
	check(config_field(8) == 0);
	check(config_field(16) == GPA);
	check(config_field(24) == SIZE);
	check(config_field(32) >= 8 * BLOCK && config_field(32) <= SIZE);
	check(config_field(40) == 0);
	check(config_field(48) == 8 * BLOCK);
	check(config_field(56) == 0);
	stop();
}

TEST(s5_15_6_plug_and_unplug)
{
	start(~0ull);
	check_int(request(PLUG, GPA, 3), ACK);
	check(config_field(40) == 3 * BLOCK);
	check_int(slots, 3);
	check_int(b.config_changes, 0);
	check_int(state_of(0, 3), PLUGGED);
	check_int(state_of(0, 4), MIXED);
	check_int(state_of(3, BLOCKS - 3), UNPLUGGED);
	memset(host, 0x55, 3 * BLOCK);
	check_int(pages(), 3 * 512);
	check_int(request(UNPLUG, GPA + BLOCK, 1), ACK);
	check_int(slots, 2);
	check_int(pages(), 2 * 512); /* it went back to the host */
	check_int(state_of(0, 3), MIXED);
	check(config_field(40) == 2 * BLOCK);
	check_int(request(UNPLUG_ALL, 0, 0), ACK);
	check_int(slots, 0);
	check_int(pages(), 0);
	check(config_field(40) == 0);
	check_int(mem_device_plugged(b.dev), 0);
	stop();
}

TEST(s5_15_6_3_requests_that_are_errors)
{
	start(~0ull);
	for (uint16_t type = PLUG; type <= STATE; type++) {
		if (type == UNPLUG_ALL)
			continue;
		check_int(request(type, GPA + 4096, 1), ERROR);
		check_int(request(type, GPA, 0), ERROR);
		check_int(request(type, GPA - BLOCK, 1), ERROR);
		check_int(request(type, 0, 1), ERROR);
		check_int(request(type, GPA + SIZE, 1), ERROR);
		check_int(request(type, GPA + SIZE - BLOCK, 2), ERROR);
		check_int(request(type, UINT64_MAX - BLOCK + 1, 1), ERROR);
		check_int(request(type, GPA, UINT16_MAX), ERROR);
	}
	check_int(request(PLUG, GPA, 2), ACK);
	check_int(request(PLUG, GPA + BLOCK, 2), ERROR);   /* one is plugged already */
	check_int(request(UNPLUG, GPA + BLOCK, 2), ERROR); /* one is not */
	check_int(request(4, GPA, 1), ERROR);
	check_int(request(UINT16_MAX, GPA, 1), ERROR);
	check_int(slots, 2);
	stop();
}

TEST(s5_15_6_not_more_than_was_asked_for)
{
	start(~0ull);
	check_int(request(PLUG, GPA, 9), NACK);
	check_int(request(PLUG, GPA, 8), ACK);
	check_int(request(PLUG, GPA + 8 * BLOCK, 1), NACK);
	check_ok(mem_device_resize(b.dev, 9 * BLOCK, &err), &err);
	check_int(b.config_changes, 1);
	check(config_field(48) == 9 * BLOCK);
	check_int(request(PLUG, GPA + 8 * BLOCK, 1), ACK);
	check_ok(mem_device_resize(b.dev, 2 * BLOCK, &err), &err);
	check_int(b.config_changes, 2);
	check_int(request(UNPLUG, GPA, 4), ACK);
	check_int(request(PLUG, GPA, 1), NACK);
	check_int(mem_device_resize(b.dev, BLOCK / 2, &err), -EINVAL);
	check_int(mem_device_resize(b.dev, SIZE + BLOCK, &err), -EINVAL);
	check(mem_device_plugged(b.dev) == 5 * BLOCK);
	stop();
}

TEST(s5_15_6_busy)
{
	start(~0ull);
	check_int(request(PLUG, GPA, 2), ACK);
	refuse = 1;
	check_int(request(PLUG, GPA + 2 * BLOCK, 1), BUSY);
	check_int(request(UNPLUG, GPA, 1), BUSY);
	check_int(request(UNPLUG_ALL, 0, 0), BUSY);
	check_int(state_of(0, 2), PLUGGED);
	check_int(state_of(2, 1), UNPLUGGED);
	refuse = 0;
	check_int(request(UNPLUG_ALL, 0, 0), ACK);
	stop();
}

TEST(s5_15_5_2_device_reset_keeps_the_blocks)
{
	start(~0ull);
	check_int(request(PLUG, GPA, 2), ACK);
	host[5] = 7;
	virtio_device_reset(b.dev);
	vbench_start(&b, 64, ~0ull);
	check_int(state_of(0, 2), PLUGGED);
	check_int(host[5], 7);
	mem_device_system_reset(b.dev); /* but that of the machine does not */
	check_int(state_of(0, BLOCKS), UNPLUGGED);
	check_int(slots, 0);
	stop();
}

TEST(s5_15_5_2_driver_must_leave_unplugged_memory_alone)
{
	start(1ull << VIRTIO_F_VERSION_1);
	check(b.needs_reset);
	stop();
}

/* Descriptors, and memory for rings, reach plugged blocks only. */
TEST(unplugged_memory_is_no_memory)
{
	struct vbench_part p[] = {{NULL, 24, false, GPA + BLOCK - 12}, {NULL, 10, true, 0}};
	struct iovec iov[4];

	start(~0ull);
	check(!guest_memory_ptr(&b.memory, GPA, 1, GUEST_READ));
	check_int(request(PLUG, GPA, 1), ACK);
	check(guest_memory_ptr(&b.memory, GPA, BLOCK, GUEST_WRITE) == host);
	check(!guest_memory_ptr(&b.memory, GPA + 1, BLOCK, GUEST_WRITE));
	check_int(guest_memory_iov(&b.memory, GPA + BLOCK - 1, 2, GUEST_READ, iov, 4), -EFAULT);
	check_int(request(PLUG, GPA + BLOCK, 2), ACK);
	check(guest_memory_ptr(&b.memory, GPA + 1, 2 * BLOCK, GUEST_WRITE) == host + 1);
	check_int(guest_memory_iov(&b.memory, GPA + BLOCK - 1, 2, GUEST_READ, iov, 4), 1);
	check_int(guest_memory_iov(&b.memory, GPA, 3 * BLOCK, GUEST_READ, iov, 4), 1);
	check_int(guest_memory_iov(&b.memory, GPA, 3 * BLOCK + 1, GUEST_READ, iov, 4), -EFAULT);
	check_int(request(UNPLUG, GPA + BLOCK, 1), ACK);
	vbench_offer(&b, 0, p, 2); /* half of the request lies in what is not there */
	vbench_kick(&b, 0);
	check(b.needs_reset);
	stop();
}

TEST(requests_of_wrong_sizes)
{
	struct vbench_part p[] = {{"\3", 23, false, 0}, {NULL, 12, true, 0}};
	uint8_t req[24] = {3};

	start(~0ull);
	p[0].data = req;
	check_int(vbench_request(&b, 0, p, 2), 10);
	check_int(get_le16(vbench_host(&b, p[1].gpa)), ERROR);
	p[1] = (struct vbench_part){NULL, 9, true, 0};
	check_int(vbench_request(&b, 0, p, 2), -1);
	check(b.needs_reset);
	stop();
}

TEST(state_is_saved_and_restored)
{
	_cleanup_buffer_ struct buffer saved = BUFFER_INIT;
	struct reader in;

	start(~0ull);
	check_int(request(PLUG, GPA, 2), ACK);
	check_int(request(PLUG, GPA + 5 * BLOCK, 1), ACK);
	check_ok(mem_device_resize(b.dev, 4 * BLOCK, &err), &err);
	host[7] = 42;
	virtio_device_pause(b.dev);
	check_ok(virtio_device_save(b.dev, &saved, &err), &err);
	vbench_stop(&b);
	slots = 0;
	{
		struct mem_config config = {
		    .gpa = GPA, .size = SIZE, .block = BLOCK, .host = host, .set = set};

		vbench_init(&b, 0);
		check_ok(mem_device_new(&b.dev, b.loop, &config, &err), &err);
	}
	in = reader_init(saved.data, saved.size);
	check_ok(virtio_device_restore(b.dev, &in, &err), &err);
	vbench_start(&b, 64, ~0ull);
	check_int(slots, 3);
	check(config_field(48) == 4 * BLOCK);
	check(config_field(40) == 3 * BLOCK);
	check_int(state_of(0, 2), PLUGGED);
	check_int(state_of(2, 3), UNPLUGGED);
	check_int(state_of(5, 1), PLUGGED);
	check_int(host[7], 42);
	saved.data[8] = 2;
	in = reader_init(saved.data, saved.size);
	check_int(virtio_device_restore(b.dev, &in, &err), -EPROTO);
	in = reader_init(saved.data, 9);
	check_int(virtio_device_restore(b.dev, &in, &err), -EPROTO);
	stop();
}

TEST(bad_settings)
{
	const struct mem_config bad[] = {
	    {GPA, SIZE, BLOCK / 2, 0, NULL, NULL, NULL},
	    {GPA, SIZE, BLOCK * 3, 0, NULL, NULL, NULL},
	    {GPA, SIZE + 1, BLOCK, 0, NULL, NULL, NULL},
	    {GPA + 1, SIZE, BLOCK, 0, NULL, NULL, NULL},
	    {GPA, SIZE, BLOCK, SIZE + BLOCK, NULL, NULL, NULL},
	    {0 - BLOCK, SIZE, BLOCK, 0, NULL, NULL, NULL},
	    {GPA, 0, BLOCK, 0, NULL, NULL, NULL},
	};

	vbench_init(&b, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_int(mem_device_new(&b.dev, b.loop, &bad[i], &err), -EINVAL);
	vbench_stop(&b);
}

TEST_MAIN()
