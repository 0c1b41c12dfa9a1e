/* SPDX-License-Identifier: Apache-2.0 */
/* tsc: how fast this host's time stamp counter runs. */
#include "tsc.h"

#include <time.h>

#define NS_AT_LEAST 5000000ull
/* Anything else is not the clock of a processor. */
#define KHZ_MIN 100000u
#define KHZ_MAX 10000000u

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t read_ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	return 0;
#endif
}

void tsc_sample(struct tsc_sample *s)
{
	uint64_t best = UINT64_MAX;

	/* Of a few tries the one that nothing came between. */
	for (int i = 0; i < 5; i++) {
		uint64_t before = now_ns(), ticks = read_ticks(), after = now_ns();

		if (after - before < best) {
			best = after - before;
			s->ticks = ticks;
			s->ns = before + (after - before) / 2;
		}
	}
}

uint32_t tsc_khz(const struct tsc_sample *since)
{
	struct tsc_sample now;
	uint64_t past = now_ns() - since->ns, khz;

	if (past < NS_AT_LEAST)
		nanosleep(&(struct timespec){.tv_nsec = (long)(NS_AT_LEAST - past)}, NULL);
	tsc_sample(&now);
	khz = (now.ticks - since->ticks) * 1000000u / (now.ns - since->ns);
	return khz >= KHZ_MIN && khz <= KHZ_MAX ? (uint32_t)khz : 0;
}
