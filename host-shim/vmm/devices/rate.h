/* SPDX-License-Identifier: Apache-2.0 */
/* rate: a bound on what a guest may have a second, with one second's worth at once (token bucket).
 */
#pragma once

#include <stdint.h>

struct rate {
	uint64_t per_s;  /* bytes; 0: no bound */
	uint64_t tokens; /* bytes that may be had now, as of `last_ms` */
	uint64_t last_ms;
};

static inline struct rate rate_init(uint64_t per_s, uint64_t now_ms)
{
	return (struct rate){per_s, per_s, now_ms};
}

/* How much of `want` may be had at now_ms (CLOCK_MONOTONIC milliseconds). Takes nothing. */
static inline uint64_t rate_allows(struct rate *r, uint64_t want, uint64_t now_ms)
{
	uint64_t passed = now_ms - r->last_ms, fresh;

	if (r->per_s == 0)
		return want;
	fresh = passed >= 1000 ? r->per_s : r->per_s * passed / 1000;
	if (fresh > 0) {
		r->tokens = fresh >= r->per_s - r->tokens ? r->per_s : r->tokens + fresh;
		r->last_ms = now_ms;
	}
	return want < r->tokens ? want : r->tokens;
}

/* Takes what rate_allows() allowed. */
static inline void rate_take(struct rate *r, uint64_t n)
{
	if (r->per_s)
		r->tokens -= n;
}
