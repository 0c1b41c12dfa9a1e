/* SPDX-License-Identifier: Apache-2.0 */
/* proc_exit, proc_raise: "exit N" or "raise N". */
#include "wasi.h"

static u32 number(const char *s)
{
	u32 n = 0;

	for (; *s; s++)
		n = n * 10 + (u32)(*s - '0');
	return n;
}

void test(void)
{
	char *v[8], buf[256];

	OK(args_get(v, buf));
	if (equal(v[1], "exit"))
		proc_exit(number(v[2]));
	CHECK_IS(proc_raise(31), INVAL);
	OK(proc_raise(0));
	proc_raise(number(v[2]));
	say(1, "survived\n");
}
