/* SPDX-License-Identifier: Apache-2.0 */
/* fd_read, fd_write, fd_pread, fd_pwrite, fd_seek, fd_tell. */
#include "wasi.h"

static char buf[64];

static void vectors(u32 fd)
{
	static struct iovec many[1025];
	struct iovec v[3] = {{"abc", 3}, {0, 0}, {"defgh", 5}};
	u32 n;
	u64 at;

	OK(fd_write(fd, v, 3, &n));
	CHECK_IS(n, 8);
	OK(fd_write(fd, v, 0, &n));
	CHECK_IS(n, 0);
	OK(fd_tell(fd, &at));
	CHECK_IS(at, 8);
	OK(fd_seek(fd, -6, END, &at));
	CHECK_IS(at, 2);
	v[0] = (struct iovec){buf, 2};
	v[2] = (struct iovec){buf + 10, 20};
	OK(fd_read(fd, v, 3, &n));
	CHECK_IS(n, 6);
	CHECK(memcmp(buf, "cd", 2) == 0 && memcmp(buf + 10, "efgh", 4) == 0);
	OK(fd_read(fd, v, 3, &n));
	CHECK_IS(n, 0);
	OK(fd_write(fd, many, 1024, &n));
	CHECK_IS(fd_write(fd, many, 1025, &n), INVAL);
}

static void positions(u32 fd)
{
	u32 n;
	u64 at;

	OK(fd_pwrite(fd, IOV("XY", 2), 6, &n));
	CHECK_IS(n, 2);
	OK(fd_pread(fd, IOV(buf, 4), 5, &n));
	CHECK_IS(n, 3);
	CHECK(memcmp(buf, "fXY", 3) == 0);
	OK(fd_tell(fd, &at));
	CHECK_IS(at, 8);
	OK(fd_seek(fd, 100, SET, &at));
	OK(fd_seek(fd, -1, CUR, &at));
	CHECK_IS(at, 99);
	CHECK_IS(fd_seek(fd, -1, SET, &at), INVAL);
	CHECK_IS(fd_seek(fd, -100, CUR, &at), INVAL);
	CHECK_IS(fd_seek(fd, 0, 3, &at), INVAL);
	CHECK_IS(fd_pread(fd, IOV(buf, 4), ~0ull, &n), INVAL);
	CHECK_IS(fd_pwrite(fd, IOV(buf, 4), 1ull << 63, &n), INVAL);
}

static void bad_pointers(u32 fd)
{
	const struct iovec outside = {OUTSIDE, 17}, huge = {buf, 0xffffffff};
	struct filestat st;
	u32 n;
	u64 at;

	CHECK_IS(fd_read(fd, OUTSIDE, 3, &n), FAULT);
	CHECK_IS(fd_read(fd, &outside, 1, &n), FAULT);
	CHECK_IS(fd_read(fd, &huge, 1, &n), FAULT);
	CHECK_IS(fd_write(fd, &outside, 1, &n), FAULT);
	CHECK_IS(fd_pwrite(fd, &outside, 1, 0, &n), FAULT);
	CHECK_IS(fd_seek(fd, 0, SET, OUTSIDE), FAULT);
	/* Nothing is written when the count cannot be. */
	CHECK_IS(fd_pwrite(fd, IOV("zzz", 3), 1000, OUTSIDE), FAULT);
	OK(fd_filestat_get(fd, &st));
	CHECK_IS(st.size, 8);
	OK(fd_tell(fd, &at));
	CHECK_IS(at, 99);
}

static void appending(void)
{
	u32 fd, n;
	u64 at;

	make_file(ROOT, "log", "1234");
	OK(path_open(ROOT, 0, PATH("log"), 0, RIGHTS_FILE, 0, APPEND, &fd));
	OK(fd_write(fd, IOV("56", 2), &n));
	/* Where it says, appending or not. */
	OK(fd_pwrite(fd, IOV("ab", 2), 0, &n));
	OK(fd_write(fd, IOV("78", 2), &n));
	OK(fd_seek(fd, 0, END, &at));
	CHECK_IS(at, 8);
	OK(fd_close(fd));
	CHECK(holds(ROOT, "log", "ab345678"));
}

static void what_cannot_be_read(void)
{
	u32 n;
	u64 at;

	CHECK_IS(fd_read(ROOT, IOV(buf, 4), &n), ISDIR);
	CHECK_IS(fd_pread(ROOT, IOV(buf, 4), 0, &n), ISDIR);
	CHECK_IS(fd_write(ROOT, IOV(buf, 4), &n), ISDIR);
	CHECK_IS(fd_seek(ROOT, 0, SET, &at), ISDIR);
	CHECK_IS(fd_tell(ROOT, &at), ISDIR);
	CHECK_IS(fd_read(NO_FD, IOV(buf, 4), &n), BADF);
	CHECK_IS(fd_write(NO_FD, IOV(buf, 4), &n), BADF);
	CHECK_IS(fd_pread(NO_FD, IOV(buf, 4), 0, &n), BADF);
	CHECK_IS(fd_pwrite(NO_FD, IOV(buf, 4), 0, &n), BADF);
	CHECK_IS(fd_seek(NO_FD, 0, SET, &at), BADF);
	CHECK_IS(fd_tell(NO_FD, &at), BADF);
	CHECK_IS(fd_read(0xffffffff, IOV(buf, 4), &n), BADF);
	/* Standard input is a pipe here. */
	CHECK_IS(fd_seek(0, 0, SET, &at), SPIPE);
	CHECK_IS(fd_pread(0, IOV(buf, 4), 0, &n), SPIPE);
	OK(fd_read(0, IOV(buf, sizeof(buf)), &n));
	CHECK(n == 6 && memcmp(buf, "input\n", 6) == 0);
	CHECK_IS(fd_write(0, IOV(buf, 4), &n), NOTCAPABLE);
}

void test(void)
{
	u32 fd = open_at(ROOT, "file", O_CREAT | O_EXCL);

	vectors(fd);
	positions(fd);
	bad_pointers(fd);
	OK(fd_close(fd));
	CHECK_IS(fd_close(fd), BADF);
	appending();
	what_cannot_be_read();
}
