/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of the balloon device on plain memory, by clause of virtio 1.2 §5.5. What went back
 * to the host is read from the kernel: the blocks of the memory's file, the pages of the process.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include "check.h"
#include "host-shim/vmm/devices/balloon.h"
#include "tests/unit/virtio_bench.h"

#define RAM_GPA   0x80000000ull
#define RAM_SIZE  (4u << 20)
#define IMAGE_GPA 0xc0000000ull
#define PAGES     (RAM_SIZE / 4096)

#define INFLATE 0
#define DEFLATE 1
#define F(bit)  (1ull << (bit))

static struct vbench b;
static struct error err = ERROR_INIT;
static struct guest_memory ram;
static uint8_t *host, *image;
static int fd, image_fd;
static struct balloon_stats stats;
static unsigned int n_stats;

static void on_stats(void *data, const struct balloon_stats *s)
{
	stats = *s;
	n_stats++;
}

static uint8_t *map_file(int *file, size_t size, bool shared)
{
	uint8_t *p;

	*file = memfd_create("ram", MFD_CLOEXEC);
	check(*file >= 0 && ftruncate(*file, (off_t)size) == 0);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, shared ? MAP_SHARED : MAP_PRIVATE, *file, 0);
	check(p != MAP_FAILED);
	memset(p, 0xaa, size);
	return p;
}

/* RAM, and beside it an image that the guest may write, which is no RAM. */
static void start_with(const struct balloon_config *config, bool shared, uint64_t features)
{
	struct balloon_config c = *config;

	vbench_init(&b, 0);
	host = map_file(&fd, RAM_SIZE, shared);
	image = map_file(&image_fd, 65536, true);
	check_ok(guest_memory_add(&b.memory, RAM_GPA, RAM_SIZE, host, false, &err), &err);
	check_ok(guest_memory_add(&b.memory, IMAGE_GPA, 65536, image, false, &err), &err);
	check_ok(guest_memory_add(&ram, RAM_GPA, RAM_SIZE, host, false, &err), &err);
	c.ram = &ram;
	check_ok(balloon_device_new(&b.dev, b.loop, &c, &err), &err);
	vbench_start(&b, 64, features);
}

static void start(uint64_t features)
{
	start_with(&(struct balloon_config){.zeros = true,
	                                    .deflate_on_oom = true,
	                                    .free_page_reporting = true,
	                                    .stats = on_stats},
	           true, features);
}

static void stop(void)
{
	vbench_stop(&b);
	munmap(host, RAM_SIZE);
	munmap(image, 65536);
	close(fd);
	close(image_fd);
}

/* Pages that a file has. */
static long pages_of(int file)
{
	struct stat st;

	check(fstat(file, &st) == 0);
	return st.st_blocks / 8;
}

static void send_pages(unsigned int queue, const uint32_t *pages, uint32_t n)
{
	uint8_t bytes[4096];
	struct vbench_part p[] = {{bytes, n * 4, false, 0}};

	for (uint32_t i = 0; i < n; i++)
		put_le32(bytes + 4 * i, pages[i]);
	check_int(vbench_request(&b, queue, p, 1), 0);
}

static uint32_t page(uint64_t n)
{
	return (uint32_t)((RAM_GPA >> 12) + n);
}

TEST(s5_5_6_inflate_gives_pages_back)
{
	uint32_t pages[256];

	start(~0ull);
	check_int(b.dev->ops->id, 5);
	check_int(pages_of(fd), PAGES);
	for (uint32_t i = 0; i < 256; i++)
		pages[i] = page(i < 128 ? 100 + i : 600 - i); /* up, then down */
	send_pages(INFLATE, pages, 256);
	check_int(pages_of(fd), PAGES - 256);
	check_int(host[100 * 4096], 0);
	check_int(host[99 * 4096 + 4095], 0xaa);
	check_int(host[228 * 4096], 0xaa);
	check_int(host[345 * 4096], 0);
	check_int(host[472 * 4096], 0);
	check_int(host[473 * 4096], 0xaa);
	check_int(balloon_device_discarded(b.dev), 256 * 4096);
	send_pages(DEFLATE, pages, 256);
	host[101 * 4096] = 1; /* by being touched it is there again, as the three read above */
	check_int(pages_of(fd), PAGES - 252);
	stop();
}

TEST(pages_that_are_no_memory_are_ignored)
{
	const uint32_t pages[] = {
	    0, 1, UINT32_MAX, page(PAGES), page(0) - 1, (uint32_t)(IMAGE_GPA >> 12), page(5)};

	start(~0ull);
	send_pages(INFLATE, pages, 7);
	check_int(pages_of(fd), PAGES - 1);
	check_int(pages_of(image_fd), 16); /* an image is not the guest's to give */
	check(!b.needs_reset);
	stop();
}

TEST(private_memory)
{
	const uint32_t pages[] = {page(3), page(4)};
	unsigned char there[8];

	start_with(&(struct balloon_config){.zeros = true}, false, ~0ull);
	send_pages(INFLATE, pages, 2);
	check(mincore(host, 8 * 4096, there) == 0);
	check_int(host[2 * 4096], 0xaa);
	check_int(host[3 * 4096], 0);
	check_int(host[5 * 4096], 0xaa);
	stop();
}

TEST(s5_5_4_configuration)
{
	uint8_t c[16];

	start(~0ull);
	balloon_device_set_target(b.dev, 100 * 4096 + 1);
	check_int(b.config_changes, 1);
	virtio_device_config_read(b.dev, 0, c, 16);
	check_int(get_le32(c), 100);
	check_int(get_le32(c + 4), 0);
	virtio_device_config_write(b.dev, 4, "\x34\x12\0\0", 4);
	check(balloon_device_actual(b.dev) == 0x1234ull * 4096);
	virtio_device_config_write(b.dev, 5, "\x22", 1);
	check(balloon_device_actual(b.dev) == 0x2234ull * 4096);
	virtio_device_config_write(b.dev, 0, "\xff\xff\xff\xff", 4); /* num_pages is the device's */
	virtio_device_config_write(b.dev, SIZE_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	virtio_device_config_read(b.dev, 0, c, 16);
	check_int(get_le32(c), 100);
	balloon_device_set_target(b.dev, UINT64_MAX);
	virtio_device_config_read(b.dev, 0, c, 4);
	check(get_le32(c) == UINT32_MAX);
	virtio_device_reset(b.dev);
	check_int(balloon_device_actual(b.dev), 0);
	stop();
}

static void say_actual(uint32_t pages)
{
	uint8_t le[4];

	put_le32(le, pages);
	virtio_device_config_write(b.dev, 4, le, 4);
}

static void count(void *data)
{
	++*(int *)data;
}

/* §5.5.6: with DEFLATE_ON_OOM a guest may take more than the host has given back. */
TEST(s5_5_6_a_guest_without_memory_takes_pages_back)
{
	uint32_t pages[256];
	int told = 0;

	start(~0ull);
	balloon_device_on_out_of_memory(b.dev, count, &told);
	for (uint32_t i = 0; i < 256; i++)
		pages[i] = page(i);
	balloon_device_set_target(b.dev, 512 * 4096);
	send_pages(INFLATE, pages, 256);
	say_actual(256);
	send_pages(INFLATE, pages, 1); /* one is moved */
	send_pages(DEFLATE, pages + 1, 1);
	say_actual(256);
	check_int(balloon_device_taken_back(b.dev), 0);
	send_pages(DEFLATE, pages, 200); /* on its way to 512, and needs them itself */
	say_actual(56);
	check_int(told, 1);
	send_pages(DEFLATE, pages + 200, 50);
	say_actual(6);
	check_int(told, 1);
	check_int(balloon_device_taken_back(b.dev), 250 * 4096);
	balloon_device_set_target(b.dev, 0);
	send_pages(DEFLATE, pages, 6); /* as it was asked */
	say_actual(0);
	check_int(told, 1);
	balloon_device_set_target(b.dev, 4096);
	send_pages(INFLATE, pages, 1);
	say_actual(1);
	say_actual(0);
	check_int(told, 2);
	check_int(balloon_device_taken_back(b.dev), 251 * 4096);
	stop();
}

TEST(a_guest_that_may_not_take_pages_back)
{
	const uint32_t one = page(1);
	int told = 0;

	start_with(&(struct balloon_config){.zeros = true}, true, ~0ull);
	balloon_device_on_out_of_memory(b.dev, count, &told);
	balloon_device_set_target(b.dev, 4096);
	say_actual(1);
	send_pages(DEFLATE, &one, 1);
	say_actual(0);
	check_int(told, 0);
	check_int(balloon_device_taken_back(b.dev), 0);
	stop();
}

TEST(s5_5_3_features_as_asked_for)
{
	start_with(&(struct balloon_config){0}, true, ~0ull);
	check_int(virtio_device_features(b.dev) & 0x3f, 0);
	check_int(balloon_device_ask_stats(b.dev), -EAGAIN);
	stop();
}

/* As Linux counts: the reporting queue is the fourth with statistics and the third without. */
static void report(unsigned int queue)
{
	struct vbench_part p[] = {{NULL, 16 * 4096, true, RAM_GPA + 64 * 4096},
	                          {NULL, 4096, true, RAM_GPA + 200 * 4096},
	                          {NULL, 8192, true, IMAGE_GPA},
	                          {NULL, 4096, true, RAM_GPA + 300 * 4096 + 1}};

	check_int(vbench_request(&b, queue, p, 4), 0);
}

TEST(s5_5_6_7_free_page_reporting)
{
	start(F(VIRTIO_F_VERSION_1) | F(1) | F(5));
	report(3);
	check_int(pages_of(fd), PAGES - 17); /* the last is no whole page */
	check_int(pages_of(image_fd), 16);
	check_int(host[63 * 4096], 0xaa);
	check_int(host[64 * 4096], 0);
	check_int(host[80 * 4096], 0xaa);
	stop();
	memset(&ram, 0, sizeof(ram));
	start(F(VIRTIO_F_VERSION_1) | F(5));
	report(2);
	check_int(pages_of(fd), PAGES - 17);
	stop();
}

/* As §5.5.2 counts: it is the fifth, whatever others there are. */
TEST(s5_5_2_queues_by_their_numbers)
{
	for (int with_stats = 0; with_stats < 2; with_stats++) {
		memset(&ram, 0, sizeof(ram));
		start(F(VIRTIO_F_VERSION_1) | F(5) | (with_stats ? F(1) : 0));
		for (unsigned int i = with_stats ? 3 : 2; i < 4; i++)
			virtqueue_stop(&b.dev->queues[i]);
		virtio_device_activate(b.dev);
		report(4);
		check_int(pages_of(fd), PAGES - 17);
		stop();
	}
}

TEST(s5_5_6_7_poisoned_pages_keep_their_value)
{
	start(F(VIRTIO_F_VERSION_1));
	virtio_device_reset(b.dev);
	virtio_device_config_write(b.dev, 12, "\xaa\xaa\xaa\xaa", 4);
	vbench_start(&b, 64, F(VIRTIO_F_VERSION_1) | F(4) | F(5));
	report(2);
	check_int(pages_of(fd), PAGES);
	check_int(host[64 * 4096], 0xaa);
	virtio_device_reset(b.dev); /* poison_val is 0 again */
	vbench_start(&b, 64, F(VIRTIO_F_VERSION_1) | F(4) | F(5));
	virtio_device_config_write(b.dev, 12, "\xaa\xaa\xaa\xaa", 4); /* too late */
	report(2);
	check_int(pages_of(fd), PAGES - 17);
	stop();
}

static void stat_entry(uint8_t *to, uint16_t tag, uint64_t value)
{
	put_le16(to, tag);
	put_le64(to + 2, value);
}

TEST(s5_5_6_3_statistics)
{
	uint8_t bytes[43] = {0};
	struct vbench_part p[] = {{bytes, 43, false, 0}};
	uint32_t len;

	start(~0ull);
	check_int(balloon_device_ask_stats(b.dev), -EAGAIN); /* no buffer yet */
	stat_entry(bytes, 4, 1000);
	vbench_offer(&b, 2, p, 1);
	vbench_kick(&b, 2);
	check(!vbench_used(&b, 2)); /* kept */
	check_int(n_stats, 0);
	check_int(balloon_device_ask_stats(b.dev), 0);
	check_int(balloon_device_ask_stats(b.dev), -EAGAIN);
	check(vbench_wait(&b, 2, &len) >= 0);
	stat_entry(bytes, 5, 123456789012345);
	stat_entry(bytes + 10, 999, 7); /* unknown: ignored */
	stat_entry(bytes + 20, 4, 42);
	stat_entry(bytes + 30, 0, 1);
	p[0].gpa = 0;
	vbench_offer(&b, 2, p, 1);
	vbench_kick(&b, 2);
	check_int(n_stats, 1);
	check(stats.value[BALLOON_TOTAL] == 123456789012345);
	check_int(stats.value[BALLOON_FREE], 42);
	check_int(stats.present, 1 << 5 | 1 << 4 | 1 << 0);
	/* More than one buffer at a time: the older goes back. */
	p[0].gpa = 0;
	vbench_offer(&b, 2, p, 1);
	vbench_kick(&b, 2);
	check(vbench_wait(&b, 2, &len) >= 0);
	check(!vbench_used(&b, 2));
	virtio_device_reset(b.dev);
	check_int(balloon_device_ask_stats(b.dev), -EAGAIN);
	stop();
}

TEST(state_is_saved_and_restored)
{
	_cleanup_buffer_ struct buffer saved = BUFFER_INIT;
	struct vbench_part p[] = {{NULL, 10, false, 0}};
	struct reader in;
	uint32_t len;

	start(~0ull);
	balloon_device_set_target(b.dev, 40960);
	virtio_device_config_write(b.dev, 4, "\7", 1);
	vbench_offer(&b, 2, p, 1);
	vbench_kick(&b, 2);
	virtio_device_pause(b.dev);
	check_ok(virtio_device_save(b.dev, &saved, &err), &err);
	virtio_device_reset(b.dev);
	in = reader_init(saved.data, saved.size);
	check_ok(virtio_device_restore(b.dev, &in, &err), &err);
	vbench_start(&b, 64, ~0ull);
	check_int(balloon_device_actual(b.dev), 7 * 4096);
	check_int(balloon_device_ask_stats(b.dev), 0); /* by the buffer that was held */
	check(vbench_wait(&b, 2, &len) >= 0);
	in = reader_init(saved.data, 17);
	check_int(virtio_device_restore(b.dev, &in, &err), -EPROTO);
	saved.data[16] = 9;
	in = reader_init(saved.data, saved.size);
	check_int(virtio_device_restore(b.dev, &in, &err), -EPROTO);
	stop();
}

TEST(long_requests_are_bounded)
{
	struct vbench_part p[] = {{NULL, RAM_SIZE, false, RAM_GPA}};

	start(~0ull);
	memset(host, 0, RAM_SIZE); /* a million times page 0 */
	check_int(vbench_request(&b, INFLATE, p, 1), 0);
	check(!b.needs_reset);
	stop();
}

TEST_MAIN()
