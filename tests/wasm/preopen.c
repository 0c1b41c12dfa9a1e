/* SPDX-License-Identifier: Apache-2.0 */
/* fd_prestat_get, fd_prestat_dir_name: run with KIHON_WASI_DIRS=one=/first:two=second/name. */
#include "wasi.h"

static void preopened(u32 fd, const char *name)
{
	struct prestat s;
	struct fdstat f;
	char buf[32];

	OK(fd_prestat_get(fd, &s));
	CHECK_IS(s.tag, 0);
	CHECK_IS(s.size, strlen(name));
	for (u32 i = 0; i < sizeof(buf); i++)
		buf[i] = '#';
	OK(fd_prestat_dir_name(fd, buf, sizeof(buf)));
	CHECK(memcmp(buf, name, s.size) == 0);
	CHECK_IS(buf[s.size], '#');
	CHECK_IS(fd_prestat_dir_name(fd, buf, s.size - 1), NAMETOOLONG);
	CHECK_IS(fd_prestat_dir_name(fd, OUTSIDE, 32), FAULT);
	CHECK_IS(fd_prestat_get(fd, OUTSIDE), FAULT);
	OK(fd_fdstat_get(fd, &f));
	CHECK_IS(f.type, DIRECTORY);
}

void test(void)
{
	struct prestat s;
	u32 fd;

	preopened(ROOT, "/first");
	preopened(ROOT + 1, "second/name");
	/* How C libraries find the end. */
	CHECK_IS(fd_prestat_get(ROOT + 2, &s), BADF);
	CHECK_IS(fd_prestat_get(0, &s), BADF);
	CHECK(holds(ROOT, "here", "one\n"));
	CHECK(holds(ROOT + 1, "here", "two\n"));
	/* One opened later is not preopened, the same folder or not. */
	fd = open_at(ROOT, ".", O_DIRECTORY);
	CHECK_IS(fd_prestat_get(fd, &s), BADF);
	CHECK_IS(path_open(ROOT, 0, PATH("../two/here"), 0, 0, 0, 0, &fd), NOTCAPABLE);
}
