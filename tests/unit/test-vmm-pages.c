/* SPDX-License-Identifier: Apache-2.0 */
/* test-vmm-pages: the pages that a machine touched are written down as the kernel knows them, and
 * mapped for the next; lists that are damaged or of something else are refused. */
#include <fcntl.h>
#include <sys/mman.h>

#include "host-shim/vmm/snapshot_pages.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "tests/unit/check.h"

#define PAGE 4096ull
#define SIZE (2ull << 20)
#define HIGH (4ull << 30)

static const uint8_t id[SNAPSHOT_ID_SIZE] = "one of a kind...";

static int temp_file(void)
{
	return open(check_tmpdir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/* Two regions of a file of 'x', mapped privately. */
static void map_ram(struct guest_memory *m)
{
	_cleanup_close_ int fd = temp_file();
	static uint8_t bytes[2 * SIZE];
	struct error err = ERROR_INIT;

	memset(bytes, 'x', sizeof(bytes));
	check_int(fs_pwrite_all(fd, bytes, sizeof(bytes), 0), 0);
	memset(m, 0, sizeof(*m));
	for (unsigned int i = 0; i < 2; i++) {
		void *p =
		    mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, (off_t)(i * SIZE));

		check(p != MAP_FAILED);
		check_ok(guest_memory_add(m, i * HIGH, SIZE, p, false, &err), &err);
	}
}

static int open_pagemap(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		check_skip("/proc/self/pagemap: %s", strerror(errno));
	return fd;
}

static char *page(const struct guest_memory *m, uint64_t gpa)
{
	return guest_memory_ptr(m, gpa, 1, GUEST_WRITE);
}

/* What the kernel says of a page: 0 not there, 'r' the file's, 'w' our own. */
static int state_of(int pagemap, const void *p)
{
	uint64_t entry = 0;

	check_int(fs_pread_all(pagemap, &entry, sizeof(entry), (uintptr_t)p / PAGE * 8), 0);
	return !(entry >> 63) ? 0 : entry >> 61 & 1 ? 'r' : 'w';
}

/* The same of a list. */
static int range_of(const struct snapshot_range *r, size_t n, uint64_t gpa)
{
	for (size_t i = 0; i < n; i++)
		if (gpa >= r[i].gpa && gpa - r[i].gpa < r[i].size)
			return r[i].written ? 'w' : 'r';
	return 0;
}

TEST(what_was_touched_is_mapped_for_the_next)
{
	_cleanup_close_ int pagemap = open_pagemap(), fd = temp_file();
	_cleanup_snapshot_ struct snapshot *s = NULL;
	_cleanup_free_ struct snapshot_range *r = NULL;
	struct guest_memory one, two;
	struct error err = ERROR_INIT;
	size_t n = 0;

	map_ram(&one);
	*page(&one, 3 * PAGE) = 'a';
	*page(&one, 4 * PAGE) = 'a';
	check(*(volatile char *)page(&one, 5 * PAGE) == 'x');
	*page(&one, HIGH + SIZE - PAGE) = 'b';
	check_ok(snapshot_pages_save(&one, pagemap, id, fd, &err), &err);
	check_ok(snapshot_read(&s, fd, &err), &err);
	check_ok(snapshot_pages_parse(s, id, &one, &r, &n, &err), &err);
	check_ok(snapshot_finish(s, &err), &err);
	/* The kernel maps a page that is read with those around it. */
	check_int(range_of(r, n, 3 * PAGE), 'w');
	check_int(range_of(r, n, 4 * PAGE), 'w');
	check_int(range_of(r, n, 5 * PAGE), 'r');
	check_int(range_of(r, n, HIGH + SIZE - 2 * PAGE), 0);
	check_int(range_of(r, n, HIGH + SIZE - PAGE), 'w');

	map_ram(&two);
	snapshot_pages_populate(&two, r, n);
	if (!state_of(pagemap, page(&two, 3 * PAGE)))
		check_skip("this kernel does not populate on demand");
	check_int(state_of(pagemap, page(&two, 3 * PAGE)), 'w');
	check_int(state_of(pagemap, page(&two, 4 * PAGE)), 'w');
	check_int(state_of(pagemap, page(&two, HIGH + PAGE)), 0);
	check_int(state_of(pagemap, page(&two, HIGH + SIZE - PAGE)), 'w');
	/* Mapped, not changed. */
	check(*page(&two, 3 * PAGE) == 'x' && *page(&two, HIGH + SIZE - PAGE) == 'x');
}

TEST(what_is_as_it_was_is_shared_again)
{
	_cleanup_close_ int pagemap = open_pagemap(), file = temp_file();
	static uint8_t bytes[2 * SIZE];
	static struct snapshot_copies copies;
	struct guest_memory m;
	struct error err = ERROR_INIT;

	memset(bytes, 'x', sizeof(bytes));
	check_int(fs_pwrite_all(file, bytes, sizeof(bytes), 0), 0);
	map_ram(&m);
	*page(&m, PAGE) = 'y';
	*page(&m, PAGE) = 'x';
	*page(&m, 7 * PAGE + 5) = 'y';
	*page(&m, HIGH + SIZE - 1) = 'x';
	*page(&m, HIGH) = 'z';
	check_int(snapshot_pages_find_copies(&copies, &m, pagemap, &err), 0);
	check_int(copies.n, 4);
	check_int(snapshot_pages_share(&copies, file, &err), 2 * PAGE);
	check(state_of(pagemap, page(&m, PAGE)) != 'w');
	check(state_of(pagemap, page(&m, HIGH + SIZE - PAGE)) != 'w');
	check_int(state_of(pagemap, page(&m, 7 * PAGE)), 'w');
	check_int(state_of(pagemap, page(&m, HIGH)), 'w');
	check(*page(&m, PAGE) == 'x' && *page(&m, 7 * PAGE + 5) == 'y' && *page(&m, HIGH) == 'z');
	check_int(snapshot_pages_find_copies(&copies, &m, pagemap, &err), 0);
	check_int(copies.n, 2);
	check_int(snapshot_pages_share(&copies, file, &err), 0);
	/* A file that is cut short is an error, and nothing else. */
	check(ftruncate(file, 0) == 0);
	check(snapshot_pages_share(&copies, file, &err) < 0);
}

/* A list of the ranges, as bytes. */
static int parse(const void *ranges, size_t size, const uint8_t its_id[SNAPSHOT_ID_SIZE],
                 struct error *err)
{
	_cleanup_snapshot_writer_ struct snapshot_writer w = SNAPSHOT_WRITER_INIT;
	_cleanup_close_ int fd = temp_file();
	_cleanup_snapshot_ struct snapshot *s = NULL;
	struct snapshot_range *r = NULL;
	struct guest_memory m;
	size_t n = 0;
	int e;

	map_ram(&m);
	snapshot_begin(&w, "pages", 1, 0);
	snapshot_put(&w, 1, its_id, SNAPSHOT_ID_SIZE);
	snapshot_put(&w, 2, ranges, size);
	check_ok(snapshot_write(&w, fd, err), err);
	check_ok(snapshot_read(&s, fd, err), err);
	e = snapshot_pages_parse(s, id, &m, &r, &n, err);
	check(e == 0 || !r);
	free(r);
	return e;
}

static int parse_one(uint64_t gpa, uint32_t pages, struct error *err)
{
	uint8_t range[16] = {0};

	put_le64(range, gpa);
	put_le32(range + 8, pages);
	return parse(range, sizeof(range), id, err);
}

TEST(lists_that_lie_are_refused)
{
	uint8_t two[32] = {0};
	struct error err = ERROR_INIT;

	check_int(parse_one(0, 1, &err), 0);
	check_int(parse_one(0, SIZE / PAGE, &err), 0);
	check_int(parse_one(0, SIZE / PAGE + 1, &err), -EINVAL);
	check(strstr(err.text, "not there"));
	check_int(parse_one(1, 1, &err), -EINVAL);
	check_int(parse_one(0, 0, &err), -EINVAL);
	check_int(parse_one(SIZE, 1, &err), -EINVAL);
	check_int(parse_one(UINT64_MAX - PAGE + 1, 1, &err), -EINVAL);
	check_int(parse_one(HIGH, UINT32_MAX, &err), -EINVAL);
	check_int(parse(two, 15, id, &err), -EINVAL);
	check_int(parse(two, 0, id, &err), 0);
	/* Twice the same page, and backwards. */
	put_le32(two + 8, 2);
	put_le64(two + 16, PAGE);
	put_le32(two + 24, 1);
	check_int(parse(two, 32, id, &err), -EINVAL);
	put_le64(two + 16, 2 * PAGE);
	check_int(parse(two, 32, id, &err), 0);
	put_le64(two, HIGH);
	check_int(parse(two, 32, id, &err), -EINVAL);
	check_int(parse(two, 0, (const uint8_t *)"another snapshot", &err), -EINVAL);
	check(strstr(err.text, "another snapshot"));
}

TEST_MAIN()
