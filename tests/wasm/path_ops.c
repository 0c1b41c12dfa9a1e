/* SPDX-License-Identifier: Apache-2.0 */
/* path_create_directory, path_filestat_get, path_filestat_set_times, path_link, path_readlink,
 * path_remove_directory, path_rename, path_symlink, path_unlink_file. */
#include "wasi.h"

static struct filestat st;
static char buf[64];
static u32 n;

static u32 type_of(const char *path)
{
	u32 e = path_filestat_get(ROOT, 0, PATH(path), &st);

	return e == SUCCESS ? st.type : 1000 + e;
}

static void directories(void)
{
	OK(path_create_directory(ROOT, PATH("a")));
	OK(path_create_directory(ROOT, PATH("a/b/")));
	CHECK_IS(path_create_directory(ROOT, PATH("a")), EXIST);
	CHECK_IS(path_create_directory(ROOT, PATH("a/..")), EXIST);
	CHECK_IS(path_create_directory(ROOT, PATH("x/y")), NOENT);
	CHECK_IS(path_create_directory(ROOT, PATH("")), NOENT);
	CHECK_IS(path_create_directory(ROOT, OUTSIDE, 20), FAULT);
	CHECK_IS(path_create_directory(NO_FD, PATH("c")), BADF);
	CHECK_IS(path_create_directory(1, PATH("c")), NOTDIR);
	CHECK_IS(path_remove_directory(ROOT, PATH("a")), NOTEMPTY);
	CHECK_IS(path_unlink_file(ROOT, PATH("a/b")), ISDIR);
	CHECK_IS(path_unlink_file(ROOT, PATH("a/b/")), ISDIR);
	CHECK_IS(path_remove_directory(ROOT, PATH("a/b/.")), INVAL);
	OK(path_remove_directory(ROOT, PATH("a/b/")));
	OK(path_remove_directory(ROOT, PATH("a")));
	CHECK_IS(path_remove_directory(ROOT, PATH("a")), NOENT);
	make_file(ROOT, "file", "text");
	CHECK_IS(path_remove_directory(ROOT, PATH("file")), NOTDIR);
	CHECK_IS(path_remove_directory(ROOT, PATH("file/")), NOTDIR);
	CHECK_IS(path_unlink_file(ROOT, PATH("file/")), NOTDIR);
	CHECK_IS(path_unlink_file(ROOT, PATH("missing")), NOENT);
	OK(path_unlink_file(ROOT, PATH("file")));
	CHECK_IS(type_of("file"), 1000 + NOENT);
}

static void stats(void)
{
	make_file(ROOT, "file", "text");
	OK(path_symlink(PATH("file"), ROOT, PATH("link")));
	CHECK_IS(type_of("file"), REGULAR_FILE);
	CHECK_IS(st.size, 4);
	CHECK_IS(type_of("link"), SYMLINK);
	CHECK_IS(st.size, 4);
	OK(path_filestat_get(ROOT, FOLLOW, PATH("link"), &st));
	CHECK_IS(st.type, REGULAR_FILE);
	CHECK_IS(type_of("."), DIRECTORY);
	CHECK_IS(type_of("link/"), 1000 + NOTDIR);
	CHECK_IS(path_filestat_get(ROOT, 2, PATH("file"), &st), INVAL);
	CHECK_IS(path_filestat_get(ROOT, 0, PATH("file"), OUTSIDE), FAULT);

	OK(path_filestat_set_times(ROOT, 0, PATH("file"), 7, 8, ATIM | MTIM));
	OK(path_filestat_set_times(ROOT, 0, PATH("link"), 0, 1000000000, MTIM));
	CHECK_IS(type_of("link"), SYMLINK);
	CHECK_IS(st.mtim, 1000000000);
	CHECK_IS(type_of("file"), REGULAR_FILE);
	CHECK_IS(st.mtim, 8);
	OK(path_filestat_set_times(ROOT, FOLLOW, PATH("link"), 0, 9, MTIM));
	CHECK_IS(type_of("file"), REGULAR_FILE);
	CHECK_IS(st.atim, 7);
	CHECK_IS(st.mtim, 9);
	CHECK_IS(path_filestat_set_times(ROOT, 0, PATH("file"), 0, 0, MTIM | MTIM_NOW), INVAL);
	CHECK_IS(path_filestat_set_times(ROOT, 0, PATH("file"), 0, 0, 64), INVAL);
	CHECK_IS(path_filestat_set_times(ROOT, 0, PATH("none"), 0, 0, MTIM), NOENT);
	CHECK_IS(type_of("file"), REGULAR_FILE);
	CHECK_IS(st.mtim, 9);
}

static void hard_links(void)
{
	OK(path_create_directory(ROOT, PATH("dir")));
	OK(path_link(ROOT, 0, PATH("file"), ROOT, PATH("dir/hard")));
	CHECK_IS(type_of("dir/hard"), REGULAR_FILE);
	CHECK_IS(st.nlink, 2);
	CHECK_IS(path_link(ROOT, 0, PATH("file"), ROOT, PATH("dir/hard")), EXIST);
	CHECK_IS(path_link(ROOT, 0, PATH("file"), ROOT, PATH("file")), EXIST);
	CHECK_IS(path_link(ROOT, 0, PATH("file"), ROOT, PATH("dir")), EXIST);
	CHECK_IS(path_link(ROOT, 0, PATH("dir"), ROOT, PATH("dir2")), PERM);
	CHECK_IS(path_link(ROOT, 0, PATH("dir/"), ROOT, PATH("dir2")), PERM);
	CHECK_IS(path_link(ROOT, 0, PATH("file/"), ROOT, PATH("file2")), NOTDIR);
	CHECK_IS(path_link(ROOT, 0, PATH("file"), ROOT, PATH("file2/")), NOENT);
	CHECK_IS(path_link(ROOT, 0, PATH("missing"), ROOT, PATH("file2")), NOENT);
	CHECK_IS(path_link(ROOT, FOLLOW, PATH("link"), ROOT, PATH("file2")), INVAL);
	OK(path_link(ROOT, 0, PATH("link"), ROOT, PATH("link2")));
	CHECK_IS(type_of("link2"), SYMLINK);
	OK(path_unlink_file(ROOT, PATH("link2")));
	OK(path_unlink_file(ROOT, PATH("dir/hard")));
}

static void symbolic_links(void)
{
	OK(path_readlink(ROOT, PATH("link"), buf, sizeof(buf), &n));
	CHECK(n == 4 && memcmp(buf, "file", 4) == 0 && buf[4] == 0);
	OK(path_readlink(ROOT, PATH("link"), buf + 10, 2, &n));
	CHECK(n == 2 && memcmp(buf + 10, "fi", 2) == 0 && buf[12] == 0);
	OK(path_readlink(ROOT, PATH("link"), buf, 0, &n));
	CHECK_IS(n, 0);
	CHECK_IS(path_readlink(ROOT, PATH("file"), buf, 4, &n), INVAL);
	CHECK_IS(path_readlink(ROOT, PATH("dir"), buf, 4, &n), INVAL);
	CHECK_IS(path_readlink(ROOT, PATH("missing"), buf, 4, &n), NOENT);
	CHECK_IS(path_readlink(ROOT, PATH("link"), OUTSIDE, 100, &n), FAULT);
	CHECK_IS(path_readlink(ROOT, PATH("link"), buf, 4, OUTSIDE), FAULT);
	CHECK_IS(path_symlink(PATH("x"), ROOT, PATH("link")), EXIST);
	CHECK_IS(path_symlink(PATH("x"), ROOT, PATH("new/")), NOENT);
	CHECK_IS(path_symlink(PATH("x"), ROOT, PATH("dir/")), EXIST);
	CHECK_IS(path_symlink(PATH(""), ROOT, PATH("new")), NOENT);
	CHECK_IS(path_symlink("a\0b", 3, ROOT, PATH("new")), INVAL);
	CHECK_IS(path_symlink(PATH("/etc/passwd"), ROOT, PATH("new")), NOTCAPABLE);
	CHECK_IS(path_symlink(OUTSIDE, 100, ROOT, PATH("new")), FAULT);
	OK(path_symlink(PATH("up/../and away"), ROOT, PATH("new")));
	OK(path_unlink_file(ROOT, PATH("new")));
}

static void renames(void)
{
	u32 dir = open_at(ROOT, "dir", O_DIRECTORY);

	OK(path_rename(ROOT, PATH("file"), dir, PATH("moved")));
	CHECK(holds(ROOT, "dir/moved", "text"));
	make_file(ROOT, "other", "other");
	OK(path_rename(ROOT, PATH("other"), ROOT, PATH("dir/moved")));
	CHECK(holds(dir, "moved", "other"));
	OK(path_create_directory(ROOT, PATH("empty")));
	CHECK_IS(path_rename(ROOT, PATH("dir/moved"), ROOT, PATH("empty")), ISDIR);
	CHECK_IS(path_rename(ROOT, PATH("empty"), ROOT, PATH("dir/moved")), NOTDIR);
	CHECK_IS(path_rename(ROOT, PATH("empty"), ROOT, PATH("dir")), NOTEMPTY);
	CHECK_IS(path_rename(ROOT, PATH("dir"), ROOT, PATH("dir/inside")), INVAL);
	CHECK_IS(path_rename(ROOT, PATH("missing"), ROOT, PATH("x")), NOENT);
	OK(path_rename(ROOT, PATH("dir/"), ROOT, PATH("empty/")));
	CHECK(holds(ROOT, "empty/moved", "other"));
	/* The link is renamed, not what it leads to. */
	OK(path_rename(ROOT, PATH("link"), ROOT, PATH("link2")));
	CHECK_IS(type_of("link2"), SYMLINK);
	CHECK_IS(type_of("link"), 1000 + NOENT);
	CHECK_IS(path_rename(ROOT, OUTSIDE, 20, ROOT, PATH("x")), FAULT);
	CHECK_IS(path_rename(ROOT, PATH("empty"), NO_FD, PATH("x")), BADF);
}

void test(void)
{
	directories();
	stats();
	hard_links();
	symbolic_links();
	renames();
}
