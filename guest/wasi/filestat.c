/* SPDX-License-Identifier: Apache-2.0 */
/* filestat: struct stat as the module sees it. */
#include "guest/wasi/filestat.h"

#include <string.h>

#include "guest/wasi/memory.h"
#include "lib/base/bytes.h"

#define NS_PER_S 1000000000u

uint64_t wasi_timestamp(const struct timespec *ts)
{
	uint64_t ns;

	if (ts->tv_sec < 0 || __builtin_mul_overflow((uint64_t)ts->tv_sec, NS_PER_S, &ns))
		return 0;
	return ns + (uint64_t)ts->tv_nsec;
}

uint32_t wasi_filestat_put(const struct wasi *w, uint32_t at, const struct stat *st,
                           enum wasi_filetype type)
{
	uint8_t *p = wasi_bytes(w, at, WASI_FILESTAT_SIZE);

	if (!p)
		return WASI_FAULT;
	memset(p, 0, WASI_FILESTAT_SIZE);
	put_le64(p, st->st_dev);
	put_le64(p + 8, st->st_ino);
	p[16] = (uint8_t)type;
	put_le64(p + 24, st->st_nlink);
	put_le64(p + 32, (uint64_t)st->st_size);
	put_le64(p + 40, wasi_timestamp(&st->st_atim));
	put_le64(p + 48, wasi_timestamp(&st->st_mtim));
	put_le64(p + 56, wasi_timestamp(&st->st_ctim));
	return WASI_SUCCESS;
}

/* which: the bit of the given time; its "now" is the next. */
static void one_time(uint64_t ns, uint32_t flags, uint32_t which, struct timespec *out)
{
	*out = (struct timespec){.tv_nsec = UTIME_OMIT};
	if (flags & which << 1)
		out->tv_nsec = UTIME_NOW;
	else if (flags & which)
		*out = (struct timespec){(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
}

uint32_t wasi_times(uint64_t atim, uint64_t mtim, uint32_t which, struct timespec out[2])
{
	const uint32_t a = WASI_SET_ATIM | WASI_SET_ATIM_NOW;
	const uint32_t m = WASI_SET_MTIM | WASI_SET_MTIM_NOW;

	if (which & ~(uint32_t)WASI_SET_ALL || (which & a) == a || (which & m) == m)
		return WASI_INVAL;
	one_time(atim, which, WASI_SET_ATIM, &out[0]);
	one_time(mtim, which, WASI_SET_MTIM, &out[1]);
	return WASI_SUCCESS;
}
