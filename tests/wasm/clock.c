/* SPDX-License-Identifier: Apache-2.0 */
/* clock_res_get, clock_time_get, random_get, sched_yield. */
#include "wasi.h"

static void clocks(void)
{
	u64 res, before, after;

	for (u32 id = REALTIME; id <= THREAD_CPU; id++) {
		OK(clock_res_get(id, &res));
		CHECK(res > 0);
		OK(clock_time_get(id, 0, &before));
		OK(clock_time_get(id, 1000000000, &after));
		CHECK(id == REALTIME || after >= before);
	}
	OK(clock_time_get(REALTIME, 0, &before));
	/* From 2020 to 2200. */
	CHECK(before > 1577836800000000000 && before < 7258118400000000000);
	CHECK_IS(clock_res_get(4, &res), INVAL);
	CHECK_IS(clock_time_get(4, 0, &res), INVAL);
	CHECK_IS(clock_time_get(0x7fffffff, 0, &res), INVAL);
	CHECK_IS(clock_time_get(REALTIME, 0, OUTSIDE), FAULT);
	CHECK_IS(clock_res_get(REALTIME, OUTSIDE), FAULT);
}

static void randomness(void)
{
	static u8 a[100000], b[sizeof(a)];

	OK(random_get(a, sizeof(a)));
	OK(random_get(b, sizeof(b)));
	CHECK(memcmp(a, b, sizeof(a)) != 0);
	CHECK(memcmp(a, b, 16) != 0);
	/* Filled to the end: 64 zeros there are no chance. */
	for (u32 i = 0, zeros = 0; i < 64; i++) {
		zeros += a[sizeof(a) - 1 - i] == 0;
		CHECK(zeros < 32);
	}
	OK(random_get(a, 0));
	CHECK_IS(random_get(OUTSIDE, 17), FAULT);
	CHECK_IS(random_get(a, 0xffffffff), FAULT);
}

void test(void)
{
	clocks();
	randomness();
	OK(sched_yield());
}
