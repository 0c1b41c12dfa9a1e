/* SPDX-License-Identifier: Apache-2.0 */
/* fd_fdstat_set_rights, and that every function keeps to the rights of its descriptor. */
#include "wasi.h"

static char buf[16];

/* A file opened with these rights only. */
static u32 file_with(u64 rights)
{
	struct fdstat s;
	u32 fd;

	OK(path_open(ROOT, 0, PATH("file"), 0, rights, 0, 0, &fd));
	OK(fd_fdstat_get(fd, &s));
	CHECK_IS(s.base, rights);
	return fd;
}

static void of_files(void)
{
	u32 fd, n;
	u64 at;

	fd = file_with(RIGHT_FD_READ);
	CHECK_IS(fd_write(fd, IOV("x", 1), &n), NOTCAPABLE);
	CHECK_IS(fd_seek(fd, 1, SET, &at), NOTCAPABLE);
	CHECK_IS(fd_tell(fd, &at), NOTCAPABLE);
	CHECK_IS(fd_pread(fd, IOV(buf, 1), 0, &n), NOTCAPABLE);
	CHECK_IS(fd_filestat_get(fd, (void *)buf), NOTCAPABLE);
	CHECK_IS(fd_filestat_set_size(fd, 0), NOTCAPABLE);
	CHECK_IS(fd_filestat_set_times(fd, 0, 0, ATIM_NOW), NOTCAPABLE);
	CHECK_IS(fd_fdstat_set_flags(fd, 0), NOTCAPABLE);
	CHECK_IS(fd_advise(fd, 0, 0, 0), NOTCAPABLE);
	CHECK_IS(fd_allocate(fd, 0, 1), NOTCAPABLE);
	CHECK_IS(fd_sync(fd), NOTCAPABLE);
	CHECK_IS(fd_datasync(fd), NOTCAPABLE);
	OK(fd_read(fd, IOV(buf, 4), &n));
	CHECK_IS(n, 4);
	OK(fd_close(fd));

	fd = file_with(RIGHT_FD_WRITE | RIGHT_FD_TELL);
	CHECK_IS(fd_read(fd, IOV(buf, 1), &n), NOTCAPABLE);
	OK(fd_write(fd, IOV("DATA", 4), &n));
	OK(fd_tell(fd, &at));
	OK(fd_seek(fd, 0, CUR, &at));
	CHECK_IS(fd_seek(fd, 0, SET, &at), NOTCAPABLE);
	OK(fd_close(fd));
	OK(fd_close(file_with(0)));
}

static u32 poll_error(u32 fd, u8 tag)
{
	const struct subscription in = {.tag = tag, .fd = fd};
	struct event out;
	u32 n;

	OK(poll_oneoff(&in, &out, 1, &n));
	CHECK_IS(n, 1);
	return out.error;
}

/* The right to poll is one to wait for what one may do. */
static void of_polls(void)
{
	u32 fd = file_with(RIGHT_FD_READ | RIGHT_POLL_FD_READWRITE);

	OK(poll_error(fd, FD_READ));
	CHECK_IS(poll_error(fd, FD_WRITE), NOTCAPABLE);
	OK(fd_close(fd));
	fd = file_with(RIGHT_FD_WRITE | RIGHT_POLL_FD_READWRITE);
	OK(poll_error(fd, FD_WRITE));
	CHECK_IS(poll_error(fd, FD_READ), NOTCAPABLE);
	OK(fd_close(fd));
}

/* In a directory that hands these rights on, opened for writes that wait for the disk. */
static u32 open_synchronous(u64 inheriting, u32 flags)
{
	u32 dir = open_at(ROOT, ".", O_DIRECTORY), fd, e;

	OK(fd_fdstat_set_rights(dir, RIGHT_PATH_OPEN, inheriting));
	e = path_open(dir, 0, PATH("file"), 0, 0, 0, flags, &fd);
	if (e == SUCCESS)
		OK(fd_close(fd));
	OK(fd_close(dir));
	return e;
}

static void of_synchronous_files(void)
{
	CHECK_IS(open_synchronous(RIGHT_FD_READ, DSYNC), NOTCAPABLE);
	CHECK_IS(open_synchronous(RIGHT_FD_READ, SYNC), NOTCAPABLE);
	CHECK_IS(open_synchronous(RIGHT_FD_DATASYNC, RSYNC), NOTCAPABLE);
	OK(open_synchronous(RIGHT_FD_DATASYNC, DSYNC));
	OK(open_synchronous(RIGHT_FD_SYNC, DSYNC | RSYNC | SYNC));
}

static void given_up(void)
{
	u32 fd = file_with(RIGHT_FD_READ | RIGHT_FD_WRITE), n;

	OK(fd_fdstat_set_rights(fd, RIGHT_FD_READ, 0));
	CHECK_IS(fd_write(fd, IOV("x", 1), &n), NOTCAPABLE);
	CHECK_IS(fd_fdstat_set_rights(fd, RIGHT_FD_READ | RIGHT_FD_WRITE, 0), NOTCAPABLE);
	CHECK_IS(fd_fdstat_set_rights(fd, RIGHT_FD_READ, RIGHT_FD_READ), NOTCAPABLE);
	CHECK_IS(fd_fdstat_set_rights(NO_FD, 0, 0), BADF);
	OK(fd_read(fd, IOV(buf, 1), &n));
	OK(fd_close(fd));
}

static void of_directories(u64 all)
{
	struct filestat st;
	u32 dir = open_at(ROOT, ".", O_DIRECTORY), n;

	OK(fd_fdstat_set_rights(dir, 0, all));
	CHECK_IS(path_open(dir, 0, PATH("file"), 0, 0, 0, 0, &n), NOTCAPABLE);
	CHECK_IS(path_create_directory(dir, PATH("d")), NOTCAPABLE);
	CHECK_IS(path_filestat_get(dir, 0, PATH("file"), &st), NOTCAPABLE);
	CHECK_IS(path_filestat_set_times(dir, 0, PATH("file"), 0, 0, ATIM_NOW), NOTCAPABLE);
	CHECK_IS(path_link(dir, 0, PATH("file"), ROOT, PATH("l")), NOTCAPABLE);
	CHECK_IS(path_link(ROOT, 0, PATH("file"), dir, PATH("l")), NOTCAPABLE);
	CHECK_IS(path_readlink(dir, PATH("link"), buf, 4, &n), NOTCAPABLE);
	CHECK_IS(path_remove_directory(dir, PATH("sub")), NOTCAPABLE);
	CHECK_IS(path_rename(dir, PATH("file"), ROOT, PATH("f")), NOTCAPABLE);
	CHECK_IS(path_rename(ROOT, PATH("file"), dir, PATH("f")), NOTCAPABLE);
	CHECK_IS(path_symlink(PATH("file"), dir, PATH("l")), NOTCAPABLE);
	CHECK_IS(path_unlink_file(dir, PATH("file")), NOTCAPABLE);
	CHECK_IS(fd_readdir(dir, buf, 16, 0, &n), NOTCAPABLE);
	OK(fd_close(dir));

	/* To create and to truncate are rights of their own. */
	dir = open_at(ROOT, ".", O_DIRECTORY);
	OK(fd_fdstat_set_rights(dir, RIGHT_PATH_OPEN, RIGHT_FD_READ | RIGHT_FD_SEEK));
	CHECK_IS(path_open(dir, 0, PATH("new"), O_CREAT, 0, 0, 0, &n), NOTCAPABLE);
	CHECK_IS(path_open(dir, 0, PATH("file"), O_TRUNC, 0, 0, 0, &n), NOTCAPABLE);
	/* What is opened has no more than the directory hands on. */
	CHECK_IS(path_open(dir, 0, PATH("file"), 0, RIGHT_FD_WRITE, 0, 0, &n), NOTCAPABLE);
	CHECK_IS(path_open(dir, 0, PATH("file"), 0, 0, RIGHT_FD_WRITE, 0, &n), NOTCAPABLE);
	OK(path_open(dir, 0, PATH("file"), 0, RIGHT_FD_READ, RIGHT_FD_READ, 0, &n));
	OK(fd_close(n));
	OK(fd_close(dir));
}

void test(void)
{
	make_file(ROOT, "file", "data");
	of_files();
	of_polls();
	of_synchronous_files();
	given_up();
	of_directories(RIGHTS_ALL);
	CHECK(holds(ROOT, "file", "DATA"));
}
