/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of the pmem device on plain memory, by clause of virtio 1.2 §5.19. */
#include <fcntl.h>
#include <sys/mman.h>

#include "check.h"
#include "host-shim/vmm/devices/pmem.h"
#include "tests/unit/virtio_bench.h"

#define GPA  0x100000000ull
#define SIZE (4ull << 20)

static struct vbench b;
static struct error err = ERROR_INIT;

static void start(unsigned int threads, int fd, bool readonly)
{
	vbench_init(&b, threads);
	check_ok(pmem_device_new(&b.dev, b.loop, b.pool,
	                         &(struct pmem_config){GPA, SIZE, fd, readonly}, &err),
	         &err);
	vbench_start(&b, 64, ~0ull);
}

static int file_of(off_t size)
{
	int fd = memfd_create("pmem", MFD_CLOEXEC);

	check(fd >= 0 && ftruncate(fd, size) == 0);
	return fd;
}

/* One request; its `ret`, or -2 when it was not answered with 4 bytes. */
static int64_t request(const void *bytes, uint32_t len, uint32_t room)
{
	struct vbench_part p[] = {{bytes, len, false, 0}, {NULL, room, true, 0}};

	if (vbench_request(&b, 0, p, 2) != 4)
		return -2;
	return (int32_t)get_le32(vbench_host(&b, p[1].gpa));
}

TEST(s5_19_4_configuration)
{
	uint8_t config[32];

	start(0, -1, true);
	memset(config, 0xee, sizeof(config));
	virtio_device_config_read(b.dev, 0, config, sizeof(config));
	check(get_le64(config) == GPA);
	check(get_le64(config + 8) == SIZE);
	check(get_le64(config + 16) == 0);
	check_int(b.dev->ops->id, 27);
	check_int(b.dev->ops->n_queues, 1);
	virtio_device_config_write(b.dev, 0, config, 8); /* read-only: nothing happens */
	vbench_stop(&b);
}

TEST(s5_19_6_flush)
{
	int fd = file_of(SIZE);

	start(2, fd, false);
	check_int(request("\0\0\0\0", 4, 4), 0);
	check_int(b.interrupts[0], 1);
	check_int(request("\0\0\0\0more", 8, 40), 0);
	vbench_stop(&b);
	close(fd);
}

TEST(s5_19_6_flushes_together)
{
	int fd = file_of(SIZE), n = 0;
	uint32_t len;

	start(2, fd, false);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 32; i++) {
			struct vbench_part p[] = {{"\0\0\0\0", 4, false, 0}, {NULL, 4, true, 0}};

			vbench_offer(&b, 0, p, 2);
			if (i % 5 == 0)
				vbench_kick(&b, 0);
		}
		vbench_kick(&b, 0);
		while (n < 32 * (round + 1) && vbench_wait(&b, 0, &len) >= 0)
			n++;
	}
	check_int(n, 640);
	vbench_stop(&b);
	close(fd);
}

TEST(s5_19_7_2_failure_is_minus_one)
{
	int pipes[2];

	check(pipe(pipes) == 0);
	start(1, pipes[0], false); /* cannot be synchronised */
	check_int(request("\0\0\0\0", 4, 4), -1);
	check_int(request("\1\0\0\0", 4, 4), -1); /* no such request */
	check_int(request("\0\0", 2, 4), -1);     /* half of one */
	check(!b.needs_reset);
	vbench_stop(&b);
	close(pipes[0]);
	close(pipes[1]);
}

TEST(read_only_has_nothing_to_flush)
{
	start(0, -1, true);
	check_int(request("\0\0\0\0", 4, 4), 0);
	check_int(request("\1\0\0\0", 4, 4), -1);
	vbench_stop(&b);
}

TEST(request_in_pieces)
{
	struct vbench_part p[] = {
	    {"\0", 1, false, 0}, {"", 0, false, 0},  {"\0\0\0", 3, false, 0}, {NULL, 1, true, 0},
	    {NULL, 1, true, 0},  {NULL, 1, true, 0}, {NULL, 1, true, 0},
	};
	uint32_t len;

	start(0, -1, true);
	for (int i = 3; i < 7; i++)
		p[i].data = "\xee";
	vbench_offer_indirect(&b, 0, p, 7);
	vbench_kick(&b, 0);
	check(vbench_wait(&b, 0, &len) >= 0);
	check_int(len, 4);
	for (int i = 3; i < 7; i++)
		check_int(*vbench_host(&b, p[i].gpa), 0);
	vbench_stop(&b);
}

TEST(s2_1_2_no_room_for_the_answer_needs_reset)
{
	struct vbench_part p[] = {{"\0\0\0\0", 4, false, 0}, {NULL, 3, true, 0}};

	start(0, -1, true);
	check_int(vbench_request(&b, 0, p, 2), -1);
	check(b.needs_reset);
	check(!vbench_used(&b, 0));
	virtio_device_reset(b.dev);
	vbench_start(&b, 32, 0);
	check_int(request("\0\0\0\0", 4, 4), 0);
	vbench_stop(&b);
}

TEST(s2_4_reset_waits_for_the_flush)
{
	int fd = file_of(SIZE);

	start(1, fd, false);
	for (int i = 0; i < 50; i++) {
		struct vbench_part p[] = {{"\0\0\0\0", 4, false, 0}, {NULL, 4, true, 0}};

		vbench_offer(&b, 0, p, 2);
		vbench_kick(&b, 0);
		virtio_device_reset(b.dev);
		check(!vbench_used(&b, 0));
		vbench_start(&b, 64, ~0ull);
	}
	check_int(request("\0\0\0\0", 4, 4), 0);
	vbench_stop(&b);
	close(fd);
}

/* A flush and what breaks the queue in one turn: the flush is nobody's after the reset. */
TEST(s2_4_reset_forgets_what_came_before_the_break)
{
	struct vbench_part good[] = {{"\0\0\0\0", 4, false, 0}, {NULL, 4, true, 0}};
	struct vbench_part bad[] = {{"\0\0\0\0", 4, false, 0}, {NULL, 3, true, 0}};
	int fd = file_of(SIZE);

	start(1, fd, false);
	vbench_offer(&b, 0, good, 2);
	vbench_offer(&b, 0, bad, 2);
	vbench_kick(&b, 0);
	check(b.needs_reset);
	virtio_device_reset(b.dev);
	vbench_start(&b, 64, ~0ull);
	check_int(request("\0\0\0\0", 4, 4), 0);
	vbench_turn(&b, 5);
	check(!vbench_used(&b, 0));
	vbench_stop(&b);
	close(fd);
}

TEST(range_must_be_aligned)
{
	const struct pmem_config bad[] = {
	    {GPA + 4096, SIZE, -1, true}, {GPA, SIZE + 4096, -1, true}, {GPA, 0, -1, true}};

	vbench_init(&b, 0);
	for (size_t i = 0; i < 3; i++)
		check_int(pmem_device_new(&b.dev, b.loop, b.pool, &bad[i], &err), -EINVAL);
	check(strstr(err.text, "multiples of 2 MiB"));
	vbench_stop(&b);
}

TEST(backing_is_the_file_and_zeros)
{
	int fd = file_of((3 << 20) + 5);
	struct pmem_backing m;

	check(pwrite(fd, "hello", 5, 3 << 20) == 5);
	check_ok(pmem_backing_map(&m, fd, true, &err), &err);
	check_int(m.size, 4 << 20);
	check_int((uintptr_t)m.host % PMEM_ALIGN, 0);
	check_mem((char *)m.host + (3 << 20), "hello\0\0", 7);
	check_int(((char *)m.host)[(4 << 20) - 1], 0); /* a page that the file does not have */
	/* The host's page cache is what is seen. */
	check(pwrite(fd, "J", 1, 3 << 20) == 1);
	check_int(((char *)m.host)[3 << 20], 'J');
	pmem_backing_unmap(&m);
	pmem_backing_unmap(&m);
	check_int(pmem_backing_map(&m, fd, false, &err), -EINVAL);
	check(strstr(err.text, "multiple of 2 MiB"));
	check(ftruncate(fd, SIZE) == 0);
	check_ok(pmem_backing_map(&m, fd, false, &err), &err);
	((char *)m.host)[0] = 'x';
	pmem_backing_unmap(&m);
	check(ftruncate(fd, 0) == 0);
	check_int(pmem_backing_map(&m, fd, true, &err), -EINVAL);
	close(fd);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	check_int(pmem_backing_map(&m, fd, true, &err), -EINVAL);
	close(fd);
}

TEST_MAIN()
