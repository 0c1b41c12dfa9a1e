/* SPDX-License-Identifier: Apache-2.0 */
/* clock: clocks, random bytes. */
#include <sys/random.h>
#include <time.h>

#include "guest/wasi/errno.h"
#include "guest/wasi/filestat.h"
#include "guest/wasi/memory.h"

static const clockid_t clocks[] = {
    [WASI_CLOCK_REALTIME] = CLOCK_REALTIME,
    [WASI_CLOCK_MONOTONIC] = CLOCK_MONOTONIC,
    [WASI_CLOCK_PROCESS] = CLOCK_PROCESS_CPUTIME_ID,
    [WASI_CLOCK_THREAD] = CLOCK_THREAD_CPUTIME_ID,
};

static uint32_t put_time(const struct wasi *w, uint32_t clock, uint32_t out,
                         int (*get)(clockid_t, struct timespec *))
{
	struct timespec ts;

	if (clock >= sizeof(clocks) / sizeof(*clocks))
		return WASI_INVAL;
	if (get(clocks[clock], &ts) < 0)
		return wasi_errno(errno);
	return wasi_put_u64(w, out, wasi_timestamp(&ts));
}

uint32_t wasi_clock_res_get(struct wasi *w, uint32_t clock, uint32_t out)
{
	return put_time(w, clock, out, clock_getres);
}

uint32_t wasi_clock_time_get(struct wasi *w, uint32_t clock, uint64_t precision, uint32_t out)
{
	return put_time(w, clock, out, clock_gettime);
}

uint32_t wasi_random_get(struct wasi *w, uint32_t buf, uint32_t size)
{
	uint8_t *p = wasi_bytes(w, buf, size);
	ssize_t n;

	if (!p)
		return WASI_FAULT;
	for (uint32_t done = 0; done < size; done += (uint32_t)n) {
		n = getrandom(p + done, size - done, 0);
		if (n < 0 && errno != EINTR)
			return wasi_errno(errno);
		n = n < 0 ? 0 : n;
	}
	return WASI_SUCCESS;
}
