/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No way out. The module gets the folder "in"; beside it are "secret" and the folder "out". In it
 * are links that lead out: up -> .., secret-link -> ../secret, abs -> (an absolute path of the
 * secret), out-link -> ../out, deep/way -> ../../out.
 */
#include "wasi.h"

static const char *const outside[] = {
    "..",         "../secret",     "../in/../secret", "/",        "/etc/passwd", "/secret",
    "up",         "up/secret",     "secret-link",     "abs",      "out-link",    "out-link/",
    "deep/way",   "deep/way/file", "deep/../../out",  "./../out", "up/in/inner", "deep/../up",
    "out-link/.", "out-link/..",   "../in/inner",     "abs/",     "secret-link/"};

static struct filestat st;
static char buf[64];
static u32 n;

static void each(const char *path)
{
	u32 fd, e;

	e = path_open(ROOT, FOLLOW, PATH(path), 0, RIGHT_FD_READ, 0, 0, &fd);
	CHECK_IS(e, NOTCAPABLE);
	e = path_open(ROOT, FOLLOW, PATH(path), O_CREAT, RIGHT_FD_WRITE, 0, 0, &fd);
	CHECK(e == NOTCAPABLE || e == ISDIR);
	e = path_open(ROOT, FOLLOW, PATH(path), O_DIRECTORY, 0, 0, 0, &fd);
	CHECK(e == NOTCAPABLE);
	CHECK_IS(path_filestat_get(ROOT, FOLLOW, PATH(path), &st), NOTCAPABLE);
	CHECK_IS(path_filestat_set_times(ROOT, FOLLOW, PATH(path), 1, 1, ATIM | MTIM), NOTCAPABLE);
	/* Without following, a link itself may be looked at, and no more. */
	e = path_filestat_get(ROOT, 0, PATH(path), &st);
	CHECK(e == NOTCAPABLE || (e == SUCCESS && st.type == SYMLINK));
	e = path_readlink(ROOT, PATH(path), buf, sizeof(buf), &n);
	CHECK(e == NOTCAPABLE || e == SUCCESS);
	e = path_open(ROOT, 0, PATH(path), 0, RIGHT_FD_READ, 0, 0, &fd);
	CHECK(e == NOTCAPABLE || e == LOOP);
}

/* Paths whose folder is outside. */
static void changes(void)
{
	static const char *const through[] = {
	    "../x", "up/x", "out-link/x", "deep/way/x", "/tmp/x", "out-link/../x", "deep/../../x"};

	make_file(ROOT, "mine", "mine");
	for (u32 i = 0; i < ITEMS(through); i++) {
		const char *p = through[i];

		CHECK_IS(path_create_directory(ROOT, PATH(p)), NOTCAPABLE);
		CHECK_IS(path_symlink(PATH("mine"), ROOT, PATH(p)), NOTCAPABLE);
		CHECK_IS(path_link(ROOT, 0, PATH("mine"), ROOT, PATH(p)), NOTCAPABLE);
		CHECK_IS(path_rename(ROOT, PATH("mine"), ROOT, PATH(p)), NOTCAPABLE);
	}
	CHECK_IS(path_unlink_file(ROOT, PATH("../secret")), NOTCAPABLE);
	CHECK_IS(path_unlink_file(ROOT, PATH("up/secret")), NOTCAPABLE);
	CHECK_IS(path_unlink_file(ROOT, PATH("out-link/file")), NOTCAPABLE);
	CHECK_IS(path_remove_directory(ROOT, PATH("../out")), NOTCAPABLE);
	CHECK_IS(path_remove_directory(ROOT, PATH("up/out")), NOTCAPABLE);
	CHECK_IS(path_remove_directory(ROOT, PATH("..")), NOTCAPABLE);
	CHECK_IS(path_rename(ROOT, PATH("../secret"), ROOT, PATH("got")), NOTCAPABLE);
	CHECK_IS(path_rename(ROOT, PATH("up/secret"), ROOT, PATH("got")), NOTCAPABLE);
	CHECK_IS(path_rename(ROOT, PATH(".."), ROOT, PATH("got")), NOTCAPABLE);
	CHECK_IS(path_link(ROOT, 0, PATH("../secret"), ROOT, PATH("got")), NOTCAPABLE);
	CHECK_IS(path_link(ROOT, 0, PATH("out-link/file"), ROOT, PATH("got")), NOTCAPABLE);
	/* A slash at the end would make the kernel follow the link. */
	CHECK_IS(path_link(ROOT, 0, PATH("out-link/"), ROOT, PATH("got")), NOTCAPABLE);
	CHECK_IS(path_remove_directory(ROOT, PATH("out-link/")), NOTDIR);
	CHECK_IS(path_rename(ROOT, PATH("out-link/"), ROOT, PATH("got")), NOTDIR);
}

/* A directory that is moved while it is open; ".." of it must not lead where it came from. */
static void moves(void)
{
	u32 deep, fd;

	OK(path_create_directory(ROOT, PATH("deep/er")));
	OK(path_create_directory(ROOT, PATH("deep/er/est")));
	deep = open_at(ROOT, "deep/er/est", O_DIRECTORY);
	OK(path_rename(ROOT, PATH("deep/er/est"), ROOT, PATH("est")));
	CHECK_IS(path_open(deep, 0, PATH(".."), 0, 0, 0, 0, &fd), NOTCAPABLE);
	CHECK_IS(path_open(deep, 0, PATH("../mine"), 0, 0, 0, 0, &fd), NOTCAPABLE);
	/* A link that is made by the module itself. */
	OK(path_symlink(PATH("../../secret"), deep, PATH("l")));
	CHECK_IS(path_open(deep, FOLLOW, PATH("l"), 0, RIGHT_FD_READ, 0, 0, &fd), NOTCAPABLE);
	CHECK_IS(path_open(ROOT, FOLLOW, PATH("est/l"), 0, RIGHT_FD_READ, 0, 0, &fd), NOTCAPABLE);
	/* And one that goes up, but not out, is fine from where that is so. */
	OK(path_symlink(PATH("../mine"), deep, PATH("fine")));
	CHECK(holds(ROOT, "est/fine", "mine"));
	CHECK_IS(path_open(deep, FOLLOW, PATH("fine"), 0, RIGHT_FD_READ, 0, 0, &fd), NOTCAPABLE);
	/* Renaming the link that leads out is harmless: it is the module's. */
	OK(path_rename(ROOT, PATH("secret-link"), ROOT, PATH("renamed")));
	CHECK_IS(path_open(ROOT, FOLLOW, PATH("renamed"), 0, RIGHT_FD_READ, 0, 0, &fd), NOTCAPABLE);
}

void test(void)
{
	for (u32 i = 0; i < ITEMS(outside); i++)
		each(outside[i]);
	changes();
	moves();
	CHECK(holds(ROOT, "inner", "inner\n"));
}
