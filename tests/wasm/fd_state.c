/* SPDX-License-Identifier: Apache-2.0 */
/* fd_advise, fd_allocate, fd_close, fd_datasync, fd_fdstat_get, fd_fdstat_set_flags,
 * fd_filestat_get, fd_filestat_set_size, fd_filestat_set_times, fd_renumber, fd_sync. */
#include "wasi.h"

static void stat_and_flags(u32 fd)
{
	struct fdstat s;
	u32 n;

	OK(fd_fdstat_get(fd, &s));
	CHECK_IS(s.type, REGULAR_FILE);
	CHECK_IS(s.flags, 0);
	CHECK_IS(s.base, RIGHTS_FILE);
	CHECK_IS(s.inheriting, 0);
	OK(fd_fdstat_set_flags(fd, APPEND | NONBLOCK));
	OK(fd_fdstat_get(fd, &s));
	CHECK_IS(s.flags, APPEND | NONBLOCK);
	OK(fd_fdstat_set_flags(fd, 0));
	CHECK_IS(fd_fdstat_set_flags(fd, SYNC), NOTSUP);
	CHECK_IS(fd_fdstat_set_flags(fd, 32), INVAL);
	CHECK_IS(fd_fdstat_set_flags(NO_FD, 0), BADF);
	CHECK_IS(fd_fdstat_get(NO_FD, &s), BADF);
	CHECK_IS(fd_fdstat_get(fd, OUTSIDE), FAULT);
	OK(fd_fdstat_get(ROOT, &s));
	CHECK_IS(s.type, DIRECTORY);
	CHECK_IS(s.inheriting, RIGHTS_ALL);
	CHECK_IS(s.base & (RIGHT_FD_READ | RIGHT_FD_WRITE | RIGHT_FD_SEEK), 0);
	CHECK(s.base & RIGHT_FD_READDIR && s.base & RIGHT_PATH_OPEN);

	OK(path_open(ROOT, 0, PATH("sync"), O_CREAT, RIGHTS_FILE, 0, SYNC | APPEND, &n));
	OK(fd_fdstat_get(n, &s));
	CHECK_IS(s.flags & (SYNC | APPEND), SYNC | APPEND);
	OK(fd_close(n));
	OK(path_open(ROOT, 0, PATH("sync"), 0, RIGHTS_FILE, 0, DSYNC, &n));
	OK(fd_fdstat_get(n, &s));
	CHECK_IS(s.flags, DSYNC);
	OK(fd_close(n));
}

static void size_and_room(u32 fd)
{
	struct filestat st;

	OK(fd_filestat_set_size(fd, 1000));
	OK(fd_filestat_get(fd, &st));
	CHECK_IS(st.size, 1000);
	CHECK_IS(st.type, REGULAR_FILE);
	CHECK_IS(st.nlink, 1);
	CHECK(st.ino != 0);
	OK(fd_filestat_set_size(fd, 3));
	CHECK_IS(fd_filestat_set_size(fd, ~0ull), INVAL);
	OK(fd_allocate(fd, 0, 100));
	OK(fd_allocate(fd, 10, 10));
	OK(fd_allocate(fd, 90, 20));
	OK(fd_filestat_get(fd, &st));
	CHECK_IS(st.size, 110);
	CHECK_IS(fd_allocate(fd, 0, 0), INVAL);
	CHECK_IS(fd_allocate(fd, ~0ull, 1), FBIG);
	CHECK_IS(fd_filestat_get(fd, OUTSIDE), FAULT);
	CHECK_IS(fd_filestat_get(NO_FD, &st), BADF);
	CHECK_IS(fd_filestat_set_size(NO_FD, 0), BADF);
	CHECK_IS(fd_filestat_set_size(ROOT, 0), ISDIR);
	CHECK_IS(fd_allocate(ROOT, 0, 1), ISDIR);
	CHECK_IS(fd_allocate(NO_FD, 0, 1), BADF);
}

static void times(u32 fd)
{
	struct filestat st;
	u64 now;

	OK(fd_filestat_set_times(fd, 1000000000123456789, 5, ATIM | MTIM));
	OK(fd_filestat_get(fd, &st));
	CHECK_IS(st.atim, 1000000000123456789);
	CHECK_IS(st.mtim, 5);
	OK(fd_filestat_set_times(fd, 1, 6000000000, MTIM));
	OK(fd_filestat_get(fd, &st));
	CHECK_IS(st.atim, 1000000000123456789);
	CHECK_IS(st.mtim, 6000000000);
	OK(fd_filestat_set_times(fd, 0, 0, ATIM_NOW | MTIM));
	OK(fd_filestat_get(fd, &st));
	OK(clock_time_get(REALTIME, 0, &now));
	CHECK(st.atim <= now && st.atim > now - 60000000000);
	CHECK_IS(st.mtim, 0);
	OK(fd_filestat_set_times(fd, 0, 0, 0));
	CHECK_IS(fd_filestat_set_times(fd, 0, 0, ATIM | ATIM_NOW), INVAL);
	CHECK_IS(fd_filestat_set_times(fd, 0, 0, MTIM | MTIM_NOW), INVAL);
	CHECK_IS(fd_filestat_set_times(fd, 0, 0, 16), INVAL);
	CHECK_IS(fd_filestat_set_times(NO_FD, 0, 0, MTIM_NOW), BADF);
}

static void advice_and_sync(u32 fd)
{
	for (u32 advice = 0; advice < 6; advice++)
		OK(fd_advise(fd, 0, 100, advice));
	OK(fd_advise(fd, 1 << 20, 0, 0));
	CHECK_IS(fd_advise(fd, 0, 1, 6), INVAL);
	CHECK_IS(fd_advise(fd, ~0ull, 1, 0), INVAL);
	CHECK_IS(fd_advise(NO_FD, 0, 1, 0), BADF);
	CHECK_IS(fd_advise(ROOT, 0, 1, 0), ISDIR);
	OK(fd_sync(fd));
	OK(fd_datasync(fd));
	OK(fd_sync(ROOT));
	CHECK_IS(fd_sync(NO_FD), BADF);
	CHECK_IS(fd_datasync(NO_FD), BADF);
}

static void renumbering(u32 fd)
{
	u32 other = open_at(ROOT, "other", O_CREAT), n;
	struct filestat a, b;

	OK(fd_filestat_get(other, &a));
	OK(fd_renumber(other, fd));
	CHECK_IS(fd_close(other), BADF);
	OK(fd_filestat_get(fd, &b));
	CHECK_IS(a.ino, b.ino);
	OK(fd_renumber(fd, fd));
	OK(fd_filestat_get(fd, &b));
	CHECK_IS(fd_renumber(fd, other), BADF);
	CHECK_IS(fd_renumber(other, fd), BADF);
	CHECK_IS(fd_renumber(NO_FD, NO_FD), BADF);
	/* The lowest number that is free is given out next. */
	n = open_at(ROOT, "other", 0);
	CHECK_IS(n, other);
	OK(fd_close(n));
	/* A preopened directory can be closed, and is one no more. */
	OK(fd_renumber(fd, ROOT));
	CHECK_IS(fd_prestat_get(ROOT, &(struct prestat){0}), BADF);
	OK(fd_close(ROOT));
}

void test(void)
{
	u32 fd = open_at(ROOT, "file", O_CREAT);

	stat_and_flags(fd);
	size_and_room(fd);
	times(fd);
	advice_and_sync(fd);
	renumbering(fd);
}
