/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of the block device on plain memory, by clause of virtio 1.2 §5.2. */
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "check.h"
#include "host-shim/vmm/devices/blk.h"
#include "tests/unit/virtio_bench.h"

#define SECTORS 64
#define IN      0
#define OUT     1
#define FLUSH   4
#define GET_ID  8
#define DISCARD 11
#define ZEROES  13

#define OK     0
#define IOERR  1
#define UNSUPP 2

static struct vbench b;
static struct error err = ERROR_INIT;
static int fd = -1;
static uint8_t data[16384], back[16384];
static int64_t used; /* bytes that the device said it wrote */

/* A file of SECTORS and a half, each byte its sector's number; in memory, where reads cannot be
 * told not to wait, or on a disk. */
static void make_file(bool in_memory)
{
	char path[128];
	uint8_t sector[512];

	snprintf(path, sizeof(path), "%s/disk", check_tmpdir());
	fd = in_memory ? memfd_create("disk", MFD_CLOEXEC)
	               : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	check(fd >= 0);
	for (int i = 0; i < SECTORS; i++) {
		memset(sector, i, sizeof(sector));
		check(write(fd, sector, sizeof(sector)) == sizeof(sector));
	}
	check(write(fd, sector, 100) == 100);
}

static void start(unsigned int threads, bool readonly, uint64_t features)
{
	make_file(threads > 0);
	vbench_init(&b, threads);
	check_ok(blk_device_new(&b.dev, b.loop, b.pool,
	                        &(struct blk_config){fd, readonly, "0123456789"}, &err),
	         &err);
	vbench_start(&b, 64, features);
}

static void stop(void)
{
	vbench_stop(&b);
	close(fd);
}

static const uint8_t *header(uint32_t type, uint64_t sector)
{
	static uint8_t h[16];

	put_le32(h, type);
	put_le32(h + 4, 0xeeeeeeee); /* reserved: ignored */
	put_le64(h + 8, sector);
	return h;
}

/* Header, data one way, status; the status, or -1. */
static int request(uint32_t type, uint64_t sector, const void *out, uint32_t out_size,
                   uint32_t in_size)
{
	struct vbench_part p[4] = {{header(type, sector), 16, false, 0}};
	unsigned int n = 1;

	if (out_size)
		p[n++] = (struct vbench_part){out, out_size, false, 0};
	if (in_size)
		p[n++] = (struct vbench_part){NULL, in_size, true, 0};
	p[n++] = (struct vbench_part){"\xee", 1, true, 0};
	used = vbench_request(&b, 0, p, n);
	if (used < 0)
		return -1;
	if (in_size)
		memcpy(back, vbench_host(&b, p[n - 2].gpa), in_size);
	return *vbench_host(&b, p[n - 1].gpa);
}

static int range_request(uint32_t type, uint64_t sector, uint32_t n, uint32_t flags)
{
	uint8_t range[16];

	put_le64(range, sector);
	put_le32(range + 8, n);
	put_le32(range + 12, flags);
	return request(type, 0, range, sizeof(range), 0);
}

/* The byte of the file at a sector, and whether the sector is all that byte. */
static int sector_is(int sector)
{
	uint8_t s[512];

	check(pread(fd, s, 512, sector * 512) == 512);
	for (int i = 1; i < 512; i++)
		if (s[i] != s[0])
			return -1;
	return s[0];
}

TEST(s5_2_4_configuration)
{
	uint8_t c[64];

	start(0, false, ~0ull);
	virtio_device_config_read(b.dev, 0, c, sizeof(c));
	check(get_le64(c) == SECTORS); /* the half sector does not count */
	check(get_le32(c + 12) >= 1);
	check_int(get_le32(c + 20), 512);
	check_int(c[32], 1);
	check_int(c[33], 0); /* unused0 */
	check(get_le32(c + 36) > 0 && get_le32(c + 40) > 0 && get_le32(c + 48) > 0);
	check_int(c[57] | c[58] | c[59], 0); /* unused1 */
	check_int(b.dev->ops->id, 2);
	/* §5.2.5.2: CONFIG_WCE only with FLUSH. */
	check(virtio_device_features(b.dev) >> 9 & 1);
	stop();
}

TEST(s5_2_6_read_and_write)
{
	start(2, false, ~0ull);
	check_int(request(IN, 3, NULL, 0, 1024), OK);
	check_int(used, 1025);
	check_int(back[0], 3);
	check_int(back[1023], 4);
	memset(data, 0x77, sizeof(data));
	check_int(request(OUT, 5, data, 1024, 0), OK);
	check_int(used, 1);
	check_int(sector_is(4), 4);
	check_int(sector_is(5), 0x77);
	check_int(sector_is(6), 0x77);
	check_int(sector_is(7), 7);
	check_int(request(FLUSH, 0, NULL, 0, 0), OK);
	stop();
}

TEST(s2_7_4_any_framing)
{
	struct vbench_part p[] = {
	    {header(IN, 3), 5, false, 0}, {header(IN, 3) + 5, 11, false, 0},
	    {NULL, 1, true, 0},           {NULL, 0, true, 0},
	    {NULL, 700, true, 0},         {NULL, 324, true, 0},
	};
	uint32_t len;

	start(2, false, ~0ull);
	/* Data and status share the last buffer. */
	vbench_offer_indirect(&b, 0, p, 6);
	vbench_kick(&b, 0);
	check(vbench_wait(&b, 0, &len) >= 0);
	check(!b.needs_reset);
	check_int(len, 1025);
	check_int(*vbench_host(&b, p[2].gpa), 3);
	check_int(*vbench_host(&b, p[4].gpa), 3);
	check_int(vbench_host(&b, p[5].gpa)[322], 4);
	check_int(vbench_host(&b, p[5].gpa)[323], OK);
	stop();
}

TEST(s5_2_6_2_no_access_beyond_the_end)
{
	start(2, false, ~0ull);
	memset(data, 0x55, sizeof(data));
	check_int(request(IN, SECTORS - 1, NULL, 0, 512), OK);
	check_int(request(IN, SECTORS, NULL, 0, 512), IOERR);
	check_int(used, 0); /* nothing from the beginning of the buffer was written */
	check_int(request(IN, SECTORS - 1, NULL, 0, 1024), IOERR);
	check_int(request(OUT, SECTORS - 1, data, 1024, 0), IOERR);
	check_int(sector_is(SECTORS - 1), SECTORS - 1);
	check_int(request(OUT, UINT64_MAX / 512, data, 512, 0), IOERR);
	check_int(request(OUT, UINT64_MAX, data, 512, 0), IOERR);
	check_int(request(IN, 1ull << 55, NULL, 0, 512), IOERR);
	check_int(request(OUT, 0, data, 511, 0), IOERR);
	check_int(request(IN, 0, NULL, 0, 513), IOERR);
	check_int(lseek(fd, 0, SEEK_END), SECTORS * 512 + 100);
	check_int(sector_is(0), 0);
	check_int(request(IN, SECTORS, NULL, 0, 0), OK); /* no bytes at the end: nothing wrong */
	check(!b.needs_reset);
	stop();
}

TEST(s5_2_6_2_read_only)
{
	start(2, true, ~0ull);
	check(virtio_device_features(b.dev) >> 5 & 1);
	memset(data, 0x55, 512);
	check_int(request(OUT, 1, data, 512, 0), IOERR);
	check_int(range_request(DISCARD, 1, 1, 0), UNSUPP);
	check_int(range_request(ZEROES, 1, 1, 0), UNSUPP);
	check_int(sector_is(1), 1);
	check_int(request(IN, 1, NULL, 0, 512), OK);
	check_int(request(FLUSH, 0, NULL, 0, 0), OK);
	stop();
}

TEST(descriptor_that_cannot_be_written_is_read_only)
{
	char path[128];

	make_file(false);
	snprintf(path, sizeof(path), "%s/disk", check_tmpdir());
	close(fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	vbench_init(&b, 0);
	check_ok(
	    blk_device_new(&b.dev, b.loop, b.pool, &(struct blk_config){fd, false, NULL}, &err),
	    &err);
	check(virtio_device_features(b.dev) >> 5 & 1);
	check(!(virtio_device_features(b.dev) >> 13 & 1));
	stop();
}

TEST(s5_2_6_get_id)
{
	start(0, false, ~0ull);
	check_int(request(GET_ID, 0, NULL, 0, 20), OK);
	check_mem(back, "0123456789\0\0\0\0\0\0\0\0\0\0", 20);
	check_int(used, 21);
	check_int(request(GET_ID, 0, NULL, 0, 5), OK);
	check_mem(back, "01234", 5);
	check_int(request(GET_ID, 0, NULL, 0, 30), OK);
	check_int(used, 20);
	stop();
}

TEST(s5_2_6_2_unknown_requests_are_unsupported)
{
	static const uint32_t types[] = {2, 3, 5, 10, 14, 15, 16, 18, 26, 99, UINT32_MAX};

	start(0, false, ~0ull);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		check_int(request(types[i], 0, NULL, 0, 512), UNSUPP);
		check_int(used, 0);
	}
	stop();
}

TEST(s5_2_6_2_discard_and_write_zeroes)
{
	struct stat before, after;

	start(2, false, ~0ull);
	check_int(range_request(ZEROES, 10, 3, 0), OK);
	check_int(sector_is(9), 9);
	for (int i = 10; i < 13; i++)
		check_int(sector_is(i), 0);
	check_int(sector_is(13), 13);
	check(fstat(fd, &before) == 0);
	check_int(range_request(ZEROES, 16, 16, 1), OK); /* may unmap */
	check_int(sector_is(16), 0);
	check_int(sector_is(31), 0);
	check_int(sector_is(32), 32);
	check(fstat(fd, &after) == 0);
	check_int(after.st_size, before.st_size);
	check_int(range_request(DISCARD, 40, 8, 0), OK);
	check_int(sector_is(39), 39);
	check_int(sector_is(48), 48);
	check_int(range_request(DISCARD, 40, 8, 1), UNSUPP); /* unmap is for write zeroes */
	check_int(range_request(DISCARD, 40, 8, 2), UNSUPP);
	check_int(range_request(ZEROES, 40, 8, 2), UNSUPP); /* unknown flag */
	check_int(range_request(ZEROES, SECTORS - 1, 2, 0), IOERR);
	check_int(range_request(DISCARD, UINT64_MAX / 512 + 1, 1, 0), IOERR);
	check_int(range_request(ZEROES, 0, UINT32_MAX, 0), IOERR);
	check_int(range_request(ZEROES, 5, 0, 0), OK); /* nothing */
	check_int(sector_is(SECTORS - 1), SECTORS - 1);
	memset(data, 0, sizeof(data));
	check_int(request(ZEROES, 0, data, 24, 0), IOERR);      /* a range and a half */
	check_int(request(ZEROES, 0, data, 17 * 16, 0), IOERR); /* more than max_write_zeroes_seg */
	check_int(request(DISCARD, 0, NULL, 0, 0), IOERR);      /* none */
	stop();
}

TEST(s5_2_6_2_many_ranges)
{
	uint8_t ranges[32] = {0};

	start(2, false, ~0ull);
	put_le64(ranges, 2);
	put_le32(ranges + 8, 1);
	put_le64(ranges + 16, 20);
	put_le32(ranges + 24, 1);
	check_int(request(ZEROES, 0, ranges, 32, 0), OK);
	check_int(sector_is(2), 0);
	check_int(sector_is(3), 3);
	check_int(sector_is(20), 0);
	stop();
}

TEST(s5_2_5_cache_mode)
{
	uint8_t mode;

	/* CONFIG_WCE without FLUSH starts as writethrough. */
	start(0, false, 1ull << VIRTIO_F_VERSION_1 | 1ull << 11);
	virtio_device_config_read(b.dev, 32, &mode, 1);
	check_int(mode, 0);
	check_int(request(OUT, 0, data, 512, 0), OK);
	virtio_device_reset(b.dev);
	vbench_start(&b, 64, ~0ull);
	virtio_device_config_read(b.dev, 32, &mode, 1);
	check_int(mode, 1);
	mode = 0;
	virtio_device_config_write(b.dev, 32, &mode, 1);
	mode = 9;
	virtio_device_config_read(b.dev, 32, &mode, 1);
	check_int(mode, 0);
	check_int(request(OUT, 0, data, 512, 0), OK);
	virtio_device_config_write(b.dev, 0, "\1\2\3\4\5\6\7\10", 8); /* read-only fields */
	virtio_device_config_write(b.dev, SIZE_MAX, "\1", 1);
	virtio_device_reset(b.dev);
	vbench_start(&b, 64, 1ull << VIRTIO_F_VERSION_1);
	mode = 1; /* not negotiated: not writable */
	virtio_device_config_write(b.dev, 32, &mode, 1);
	virtio_device_config_read(b.dev, 32, &mode, 1);
	check_int(mode, 0);
	stop();
}

TEST(s5_2_5_2_resize_tells_the_driver)
{
	uint8_t c[8];

	start(2, false, ~0ull);
	check_ok(blk_device_resized(b.dev, &err), &err);
	check_int(b.config_changes, 0);
	check(ftruncate(fd, 128 * 512) == 0);
	check_int(request(IN, 100, NULL, 0, 512), IOERR);
	check_ok(blk_device_resized(b.dev, &err), &err);
	check_int(b.config_changes, 1);
	check_int(b.dev->config_generation, 1);
	virtio_device_config_read(b.dev, 0, c, 8);
	check(get_le64(c) == 128);
	check_int(request(IN, 100, NULL, 0, 512), OK);
	stop();
}

TEST(file_that_was_cut_is_an_io_error)
{
	start(2, false, ~0ull);
	check(ftruncate(fd, 10 * 512 + 7) == 0);
	check_int(request(IN, 9, NULL, 0, 1024), IOERR);
	check(used < 1024);
	check_int(request(IN, 30, NULL, 0, 512), IOERR);
	check_int(request(IN, 9, NULL, 0, 512), OK);
	stop();
}

TEST(s2_1_2_no_status_byte_needs_reset)
{
	struct vbench_part p[] = {{header(IN, 0), 16, false, 0}};

	start(2, false, ~0ull);
	check_int(vbench_request(&b, 0, p, 1), -1);
	check(b.needs_reset);
	check(!vbench_used(&b, 0));
	virtio_device_reset(b.dev);
	vbench_start(&b, 64, ~0ull);
	check_int(request(IN, 0, NULL, 0, 512), OK);
	stop();
}

TEST(short_header_is_an_io_error)
{
	struct vbench_part p[] = {{header(IN, 0), 15, false, 0}, {"\xee", 1, true, 0}};

	start(2, false, ~0ull);
	check_int(vbench_request(&b, 0, p, 2), 1);
	check_int(*vbench_host(&b, p[1].gpa), IOERR);
	stop();
}

/* More requests than have memory here, and than the queue holds at once. */
TEST(many_requests_all_answered)
{
	unsigned int done = 0;
	uint32_t len;

	make_file(false);
	vbench_init(&b, 4);
	check_ok(
	    blk_device_new(&b.dev, b.loop, b.pool, &(struct blk_config){fd, false, NULL}, &err),
	    &err);
	vbench_start(&b, 512, ~0ull);
	for (unsigned int i = 0; i < 150; i++) {
		struct vbench_part p[] = {{header(i % 2 ? OUT : IN, i % SECTORS), 16, false, 0},
		                          {NULL, 512, i % 2 == 0, 0},
		                          {"\xee", 1, true, 0}};

		vbench_offer(&b, 0, p, 3);
	}
	vbench_kick(&b, 0);
	while (done < 150 && vbench_wait(&b, 0, &len) >= 0)
		done++;
	check_int(done, 150);
	check(!vbench_used(&b, 0));
	stop();
}

/* What the page cache has is there when the notification has been handled, and is right; a write is
 * the pool's. */
TEST(short_reads_of_the_page_cache_do_not_wait)
{
	struct vbench_part p[] = {
	    {header(IN, 3), 16, false, 0}, {NULL, 1024, true, 0}, {"\xee", 1, true, 0}};
	struct iovec iov = {data, 512};
	uint32_t len;

	start(0, false, ~0ull);
	if (syscall(SYS_preadv2, fd, &iov, 1, 0, 0, RWF_NOWAIT) < 0)
		check_skip("the file system has no reads that do not wait");
	vbench_offer(&b, 0, p, 3);
	virtio_device_notify(b.dev, 0);
	check(vbench_used(&b, 0));
	check(vbench_wait(&b, 0, &len) >= 0);
	check_int(len, 1025);
	check_int(*vbench_host(&b, p[1].gpa), 3);
	check_int(vbench_host(&b, p[1].gpa)[1023], 4);
	check_int(*vbench_host(&b, p[2].gpa), OK);
	p[0] = (struct vbench_part){header(OUT, 3), 16, false, 0};
	p[1] = (struct vbench_part){data, 1024, false, 0};
	p[2].gpa = 0;
	vbench_offer(&b, 0, p, 3);
	virtio_device_notify(b.dev, 0);
	check(!vbench_used(&b, 0));
	check(vbench_wait(&b, 0, &len) >= 0);
	stop();
}

TEST(s2_4_reset_takes_back_the_memory)
{
	start(4, false, ~0ull);
	for (int round = 0; round < 30; round++) {
		for (int i = 0; i < 10; i++) {
			struct vbench_part p[] = {{header(IN, 0), 16, false, 0},
			                          {NULL, 8192, true, 0},
			                          {"\xee", 1, true, 0}};

			vbench_offer(&b, 0, p, 3);
		}
		vbench_kick(&b, 0);
		virtio_device_reset(b.dev);
		memset(b.ram + VBENCH_HEAP, 0xaa, VBENCH_HEAP_SIZE);
		vbench_turn(&b, 1);
		for (uint32_t i = 0; i < VBENCH_HEAP_SIZE; i++)
			check_int(b.ram[VBENCH_HEAP + i], 0xaa);
		b.heap = 0;
		vbench_start(&b, 64, ~0ull);
	}
	stop();
}

TEST(freed_with_requests_under_way)
{
	start(4, false, ~0ull);
	for (int i = 0; i < 20; i++) {
		struct vbench_part p[] = {
		    {header(IN, 0), 16, false, 0}, {NULL, 8192, true, 0}, {"\xee", 1, true, 0}};

		vbench_offer(&b, 0, p, 3);
	}
	vbench_kick(&b, 0);
	stop();
}

TEST(pause_leaves_nothing_under_way)
{
	struct vbench_part p[] = {
	    {header(IN, 3), 16, false, 0}, {NULL, 512, true, 0}, {"\xee", 1, true, 0}};
	uint32_t len;

	start(4, false, ~0ull);
	for (int i = 0; i < 15; i++) {
		p[0].gpa = p[1].gpa = p[2].gpa = 0;
		vbench_offer(&b, 0, p, 3);
	}
	vbench_kick(&b, 0);
	virtio_device_pause(b.dev);
	for (int i = 0; i < 15; i++) {
		check(vbench_used(&b, 0));
		check(vbench_wait(&b, 0, &len) >= 0);
	}
	p[0].gpa = p[1].gpa = p[2].gpa = 0;
	vbench_offer(&b, 0, p, 3);
	vbench_kick(&b, 0);
	vbench_turn(&b, 5);
	check(!vbench_used(&b, 0));
	check_int(b.dev->queues[0].next_avail, 15);
	virtio_device_resume(b.dev);
	check(vbench_wait(&b, 0, &len) >= 0);
	check_int(len, 513);
	stop();
}

TEST(state_is_saved_and_restored)
{
	_cleanup_buffer_ struct buffer saved = BUFFER_INIT;
	struct reader in;
	uint8_t mode = 0;

	start(0, false, ~0ull);
	virtio_device_config_write(b.dev, 32, &mode, 1);
	virtio_device_pause(b.dev);
	check_ok(virtio_device_save(b.dev, &saved, &err), &err);
	virtio_device_reset(b.dev);
	in = reader_init(saved.data, saved.size);
	check_ok(virtio_device_restore(b.dev, &in, &err), &err);
	vbench_start(&b, 64, ~0ull);
	mode = 9;
	virtio_device_config_read(b.dev, 32, &mode, 1);
	check_int(mode, 0);
	in = reader_init(saved.data, saved.size - 1);
	check_int(virtio_device_restore(b.dev, &in, &err), -EPROTO);
	buffer_append(&saved, "x", 1);
	in = reader_init(saved.data, saved.size);
	check_int(virtio_device_restore(b.dev, &in, &err), -EPROTO);
	in = reader_init("\5\0\0\0", 4);
	check_int(virtio_device_restore(b.dev, &in, &err), -EPROTO);
	stop();
}

TEST(not_a_disk)
{
	int pipes[2];

	check(pipe(pipes) == 0);
	vbench_init(&b, 0);
	check_int(blk_device_new(&b.dev, b.loop, b.pool,
	                         &(struct blk_config){pipes[0], false, NULL}, &err),
	          -EINVAL);
	vbench_stop(&b);
	close(pipes[0]);
	close(pipes[1]);
}

TEST_MAIN()
