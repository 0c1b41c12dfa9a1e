/* SPDX-License-Identifier: Apache-2.0 */
/* args_get, args_sizes_get, environ_get, environ_sizes_get: run with arguments "one" and "two
 * words" and the variables A=1 and EMPTY=, and one of ours, which is not shown. */
#include "wasi.h"

void test(void)
{
	char *v[8], buf[4096];
	u32 n, size;

	OK(args_sizes_get(&n, &size));
	CHECK_IS(n, 3);
	OK(args_get(v, buf));
	CHECK(v[0] == buf);
	CHECK(equal(v[1], "one"));
	CHECK(equal(v[2], "two words"));
	CHECK(v[2] + sizeof("two words") == buf + size);
	CHECK_IS(args_sizes_get(OUTSIDE, &size), FAULT);
	CHECK_IS(args_get(OUTSIDE, buf), FAULT);
	CHECK_IS(args_get(v, OUTSIDE), FAULT);

	OK(environ_sizes_get(&n, &size));
	CHECK_IS(n, 2);
	OK(environ_get(v, buf));
	CHECK(equal(v[0], "A=1"));
	CHECK(equal(v[1], "EMPTY="));
	CHECK_IS(size, sizeof("A=1") + sizeof("EMPTY="));
	CHECK_IS(environ_sizes_get(&n, OUTSIDE), FAULT);
	CHECK_IS(environ_get(v, OUTSIDE), FAULT);
}
