/* SPDX-License-Identifier: Apache-2.0 */
/* "a" and "b" are, by turns, a folder with the file "inner" and a link out of here, swapped all the
 * time: however a path through them ends, it never leads to the "secret" outside. */
#include "wasi.h"

/* Of each kind, and for how long at most. */
enum { ENOUGH = 500 };
static const u64 longest = 20000000000;

void test(void)
{
	static char buf[16];
	struct filestat st;
	u32 n, fd, inside = 0, refused = 0;
	u64 begin, now;

	OK(clock_time_get(MONOTONIC, 0, &begin));
	now = begin;
	while ((inside < ENOUGH || refused < ENOUGH) && now - begin < longest) {
		u32 e = path_open(ROOT, FOLLOW, PATH("a/file"), 0, RIGHT_FD_READ, 0, 0, &fd);

		if (e == SUCCESS) {
			OK(fd_read(fd, IOV(buf, sizeof(buf)), &n));
			CHECK(n == 6 && memcmp(buf, "inner\n", 6) == 0);
			OK(fd_close(fd));
			inside++;
		} else {
			CHECK(e == NOTCAPABLE || e == NOENT || e == AGAIN);
			refused++;
		}
		e = path_unlink_file(ROOT, PATH("a/none"));
		CHECK(e == NOENT || e == NOTCAPABLE || e == AGAIN);
		e = path_filestat_get(ROOT, FOLLOW, PATH("b/file"), &st);
		CHECK(e == SUCCESS ? st.size == 6 : e == NOTCAPABLE || e == NOENT || e == AGAIN);
		OK(clock_time_get(MONOTONIC, 0, &now));
	}
	/* The swaps were seen. */
	CHECK(inside >= ENOUGH && refused >= ENOUGH);
}
