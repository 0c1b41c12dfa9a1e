/* SPDX-License-Identifier: Apache-2.0 */
/* With all of this machine's root: what /proc offers against the process itself is out of reach. */
#include "wasi.h"

static u32 try_open(const char *path, u64 rights)
{
	u32 fd, e = path_open(ROOT, FOLLOW, PATH(path), 0, rights, 0, 0, &fd);

	if (e == SUCCESS)
		OK(fd_close(fd));
	return e;
}

void test(void)
{
	OK(try_open("proc/self/status", RIGHT_FD_READ));
	CHECK_IS(try_open("proc/self/mem", RIGHT_FD_WRITE), NOTCAPABLE);
	CHECK_IS(try_open("proc/self/mem", RIGHT_FD_READ | RIGHT_FD_WRITE), NOTCAPABLE);
	CHECK_IS(try_open("proc/self/comm", RIGHT_FD_WRITE), NOTCAPABLE);
	/* Links that are none: they jump to what a process has open. */
	CHECK_IS(try_open("proc/self/exe", RIGHT_FD_READ), LOOP);
	CHECK_IS(try_open("proc/self/root/proc", 0), LOOP);
	CHECK_IS(try_open("proc/self/fd/2", RIGHT_FD_WRITE), LOOP);
	OK(try_open("dev/null", RIGHT_FD_READ | RIGHT_FD_WRITE));
}
