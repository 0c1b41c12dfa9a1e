/* SPDX-License-Identifier: Apache-2.0 */
/* clock: asks what the machine has, in order of precision. */
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtc.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <time.h>

#include "lib/base/cleanup.h"

/* 2024-01-01: no guest of this program is older, so an earlier clock was never set. */
#define PLAUSIBLE_SEC 1704067200

static int read_ptp(struct timespec *ts)
{
	_cleanup_close_ int fd = open("/dev/ptp0", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	/* FD_TO_CLOCKID of clock_gettime(2), "Dynamic clocks". */
	if (clock_gettime((clockid_t)((~(unsigned int)fd << 3) | 3), ts) < 0)
		return -errno;
	return 0;
}

static int read_rtc(struct timespec *ts)
{
	_cleanup_close_ int fd = open("/dev/rtc0", O_RDONLY | O_CLOEXEC);
	struct rtc_time rt;
	struct tm tm;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, RTC_RD_TIME, &rt) < 0)
		return -errno;
	tm = (struct tm){.tm_sec = rt.tm_sec,
	                 .tm_min = rt.tm_min,
	                 .tm_hour = rt.tm_hour,
	                 .tm_mday = rt.tm_mday,
	                 .tm_mon = rt.tm_mon,
	                 .tm_year = rt.tm_year};
	*ts = (struct timespec){.tv_sec = timegm(&tm)};
	return 0;
}

int clock_setup(struct error *err)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_REALTIME, &ts) == 0 && ts.tv_sec >= PLAUSIBLE_SEC)
		return 0;
	if ((read_ptp(&ts) < 0 || ts.tv_sec < PLAUSIBLE_SEC) &&
	    (read_rtc(&ts) < 0 || ts.tv_sec < PLAUSIBLE_SEC))
		return 1;
	if (clock_settime(CLOCK_REALTIME, &ts) < 0)
		return error_errno(err, errno, "set the clock");
	return 0;
}

int clock_set(int64_t sec, int64_t usec, struct error *err)
{
	struct timespec ts = {.tv_sec = sec};

	if (sec < 0 || usec < 0 || usec > 999999)
		return error_set(err, EINVAL, "set the clock: %lld s %lld us is no time of day",
		                 (long long)sec, (long long)usec);
	ts.tv_nsec = (long)usec * 1000;
	if (clock_settime(CLOCK_REALTIME, &ts) < 0)
		return error_errno(err, errno, "set the clock");
	return 0;
}
