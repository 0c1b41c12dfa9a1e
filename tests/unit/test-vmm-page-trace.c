/* SPDX-License-Identifier: Apache-2.0 */
/* test-vmm-page-trace: the kernel's own page tables show the pages that were touched and no
 * neighbours; of memory without a file nothing changes. */
#include <fcntl.h>
#include <sys/mman.h>

#include "host-shim/vmm/page_trace.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "tests/unit/check.h"

#define PAGE  4096u
#define PAGES 2000u

/* How many of the pages are there, by /proc/self/pagemap. */
static unsigned int count_present(const uint8_t *at, unsigned int from, unsigned int to)
{
	_cleanup_close_ int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned int n = 0;

	if (fd < 0)
		check_skip("/proc/self/pagemap: %s", strerror(errno));
	for (unsigned int i = from; i < to; i++) {
		uint64_t entry = 0;

		check_int(fs_pread_all(fd, &entry, sizeof(entry),
		                       ((uintptr_t)at / PAGE + i) * sizeof(entry)),
		          0);
		n += (unsigned int)(entry >> 63);
	}
	return n;
}

static uint8_t *map(int fd, int flags)
{
	void *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | flags, fd, 0);

	check(p != MAP_FAILED);
	return p;
}

/* In the page cache, all of it. */
static int cached_file(void)
{
	static uint8_t bytes[PAGES * PAGE];
	int fd = open(check_tmpdir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	memset(bytes, 'x', sizeof(bytes));
	check(fd >= 0);
	check_int(fs_pwrite_all(fd, bytes, sizeof(bytes), 0), 0);
	return fd;
}

static void trace(uint8_t *at)
{
	struct guest_memory m = {.n = 0};
	struct error err = ERROR_INIT;

	check_ok(guest_memory_add(&m, 0, PAGES * PAGE, at, false, &err), &err);
	page_trace_begin(&m);
}

TEST(what_is_read_is_there_and_its_neighbours_are_not)
{
	_cleanup_close_ int fd = cached_file();
	uint8_t *p = map(fd, 0);

	trace(p);
	check_int(count_present(p, 0, PAGES), 0);
	check_int(p[PAGE * 5], 'x');
	check_int(p[PAGE * 6], 'x');
	check_int(p[PAGE * 1999], 'x');
	check_int(count_present(p, 0, PAGES), 3);
	check_int(count_present(p, 5, 7), 2);
	check_int(count_present(p, 1999, 2000), 1);
}

TEST(what_is_written_is_a_copy)
{
	_cleanup_close_ int fd = cached_file();
	uint8_t *p = map(fd, 0), byte = 0;

	trace(p);
	p[PAGE * 700] = 'y';
	check_int(count_present(p, 0, PAGES), 1);
	check_int(p[PAGE * 700 + 1], 'x');
	check_int(fs_pread_all(fd, &byte, 1, PAGE * 700), 0);
	check_int(byte, 'x');
}

TEST(memory_without_a_file)
{
	uint8_t *p = map(-1, MAP_ANONYMOUS);

	trace(p);
	p[PAGE * 9] = 1;
	check_int(p[PAGE * 10], 0);
	check_int(p[PAGE * 9], 1);
}

TEST_MAIN()
