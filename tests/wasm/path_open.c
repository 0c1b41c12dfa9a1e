/* SPDX-License-Identifier: Apache-2.0 */
/* path_open: flags, links, names. */
#include "wasi.h"

static u32 try_open(const char *path, u32 lookup, u32 oflags, u64 rights)
{
	u32 fd, e = path_open(ROOT, lookup, PATH(path), oflags, rights, 0, 0, &fd);

	if (e == SUCCESS)
		OK(fd_close(fd));
	return e;
}

static void flags(void)
{
	u32 fd;

	CHECK_IS(try_open("file", 0, 0, RIGHT_FD_READ), NOENT);
	OK(try_open("file", 0, O_CREAT, RIGHT_FD_READ));
	OK(try_open("file", 0, O_CREAT, RIGHT_FD_READ));
	CHECK_IS(try_open("file", 0, O_CREAT | O_EXCL, 0), EXIST);
	make_file(ROOT, "file", "content");
	OK(try_open("file", 0, O_TRUNC, 0));
	CHECK(holds(ROOT, "file", ""));
	CHECK_IS(try_open("file", 0, O_DIRECTORY, 0), NOTDIR);
	CHECK_IS(try_open("dir", 0, O_CREAT | O_DIRECTORY, 0), INVAL);
	CHECK_IS(try_open("file", 0, 16, 0), INVAL);
	CHECK_IS(try_open("file", 2, 0, 0), INVAL);
	CHECK_IS(path_open(ROOT, 0, PATH("file"), 0, 0, 0, 32, &fd), INVAL);
	OK(path_create_directory(ROOT, PATH("dir")));
	OK(try_open("dir", 0, O_DIRECTORY, RIGHT_FD_READ));
	OK(try_open("dir", 0, 0, 0));
	CHECK_IS(try_open("dir", 0, 0, RIGHT_FD_READ | RIGHT_FD_WRITE), ISDIR);
	CHECK_IS(try_open("dir", 0, O_DIRECTORY, RIGHT_FD_READ | RIGHT_FD_WRITE), ISDIR);
	/* Bits beyond those that mean something are asked for by Go's library. */
	OK(path_open(ROOT, 0, PATH("file"), 0, 0xffffffff, 0xffffffff, 0, &fd));
	OK(fd_close(fd));
}

static void links(void)
{
	OK(path_symlink(PATH("file"), ROOT, PATH("to-file")));
	OK(path_symlink(PATH("dir"), ROOT, PATH("to-dir")));
	OK(path_symlink(PATH("loop"), ROOT, PATH("loop")));
	OK(path_symlink(PATH("nowhere"), ROOT, PATH("dangling")));
	OK(try_open("to-file", FOLLOW, 0, RIGHT_FD_READ));
	CHECK_IS(try_open("to-file", 0, 0, RIGHT_FD_READ), LOOP);
	CHECK_IS(try_open("to-file", FOLLOW, O_DIRECTORY, 0), NOTDIR);
	OK(try_open("to-dir", FOLLOW, O_DIRECTORY, 0));
	CHECK_IS(try_open("to-dir", 0, O_DIRECTORY, 0), NOTDIR);
	/* A link in the middle is always followed. */
	make_file(ROOT, "dir/inner", "inner");
	OK(try_open("to-dir/inner", 0, 0, RIGHT_FD_READ));
	CHECK_IS(try_open("loop", FOLLOW, 0, 0), LOOP);
	CHECK_IS(try_open("loop", 0, 0, 0), LOOP);
	CHECK_IS(try_open("dangling", FOLLOW, 0, 0), NOENT);
	CHECK_IS(try_open("dangling", FOLLOW, O_CREAT | O_EXCL, 0), EXIST);
	OK(try_open("dangling", FOLLOW, O_CREAT, 0));
	OK(try_open("nowhere", 0, 0, 0));
}

static void names(void)
{
	static char longest[256], too_long[257], path[5000];
	u32 fd;

	OK(try_open("dir/.//../dir/./inner", 0, 0, 0));
	OK(try_open("dir///", 0, 0, 0));
	CHECK_IS(try_open("dir/inner/", 0, 0, 0), NOTDIR);
	CHECK_IS(try_open("dir/inner/x", 0, 0, 0), NOTDIR);
	CHECK_IS(try_open("missing/x", 0, O_CREAT, 0), NOENT);
	CHECK_IS(try_open("", 0, 0, 0), NOENT);
	CHECK_IS(path_open(ROOT, 0, "file\0x", 6, 0, 0, 0, 0, &fd), INVAL);
	CHECK_IS(path_open(ROOT, 0, "file\0", 5, 0, 0, 0, 0, &fd), INVAL);
	CHECK_IS(path_open(ROOT, 0, PATH("\xff\xfe"), 0, 0, 0, 0, &fd), ILSEQ);
	CHECK_IS(path_open(ROOT, 0, PATH("\xc0\xae"), 0, 0, 0, 0, &fd), ILSEQ);
	OK(try_open("\xe3\x81\x8d\xe6\x9c\xac new\nline", 0, O_CREAT, 0));
	for (u32 i = 0; i < 256; i++) {
		longest[i] = i < 255 ? 'x' : 0;
		too_long[i] = 'x';
	}
	OK(try_open(longest, 0, O_CREAT, 0));
	CHECK_IS(try_open(too_long, 0, O_CREAT, 0), NAMETOOLONG);
	for (u32 i = 0; i < sizeof(path); i++)
		path[i] = i % 2 ? '/' : '.';
	OK(path_open(ROOT, 0, path, 4094, 0, 0, 0, 0, &fd));
	CHECK_IS(path_open(ROOT, 0, path, 4096, 0, 0, 0, 0, &fd), NAMETOOLONG);
	CHECK_IS(path_open(ROOT, 0, path, 0xffffffff, 0, 0, 0, 0, &fd), FAULT);
	CHECK_IS(path_open(ROOT, 0, OUTSIDE, 100, 0, 0, 0, 0, &fd), FAULT);
	CHECK_IS(path_open(ROOT, 0, PATH("file"), 0, 0, 0, 0, OUTSIDE), FAULT);
}

static void starting_points(void)
{
	u32 file = open_at(ROOT, "file", 0), dir = open_at(ROOT, "dir", O_DIRECTORY), fd;

	CHECK_IS(path_open(file, 0, PATH("x"), O_CREAT, 0, 0, 0, &fd), NOTDIR);
	CHECK_IS(path_open(NO_FD, 0, PATH("x"), 0, 0, 0, 0, &fd), BADF);
	CHECK_IS(path_open(0, 0, PATH("x"), 0, 0, 0, 0, &fd), NOTDIR);
	OK(path_open(dir, 0, PATH("inner"), 0, 0, 0, 0, &fd));
	/* A directory is a root of its own. */
	CHECK_IS(path_open(dir, 0, PATH("../file"), 0, 0, 0, 0, &fd), NOTCAPABLE);
	CHECK_IS(path_open(dir, 0, PATH(".."), 0, 0, 0, 0, &fd), NOTCAPABLE);
}

/* Until there are no more: an error, and nothing is lost. */
static void many(void)
{
	u32 fd, e, n = 0;

	while ((e = path_open(ROOT, 0, PATH("file"), 0, 0, 0, 0, &fd)) == SUCCESS)
		n++;
	CHECK_IS(e, 33);
	CHECK(n > 100);
	for (; n > 0; n--)
		OK(fd_close(fd--));
	OK(try_open("file", 0, 0, 0));
}

void test(void)
{
	flags();
	links();
	names();
	starting_points();
	many();
}
