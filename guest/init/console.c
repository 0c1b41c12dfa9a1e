/* SPDX-License-Identifier: Apache-2.0 */
/* console: opens what the kernel did not. */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int open_fallback(int fd)
{
	int got;

	if (fd == 0)
		return open("/dev/null", O_RDONLY);
	got = open("/dev/kmsg", O_WRONLY);
	return got >= 0 ? got : open("/dev/null", O_WRONLY);
}

void console_setup(void)
{
	(void)setsid();
	for (int fd = 0; fd <= 2; fd++) {
		int got;

		/* The kernel opens /dev/console for pid 1 when the root already had the node. */
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		got = open("/dev/console", O_RDWR | O_NOCTTY);
		if (got < 0)
			got = open_fallback(fd);
		if (got >= 0 && got != fd) {
			(void)dup2(got, fd);
			close(got);
		}
	}
	/* 0: take it only if it is free. */
	(void)ioctl(0, TIOCSCTTY, 0);
}
