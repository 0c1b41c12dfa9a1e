/* SPDX-License-Identifier: Apache-2.0 */
/* descriptors: close_range between the kept ones. */
#include "guest/agent/container/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest/agent/container/calls.h"
#include "lib/base/cleanup.h"

void descriptors_keep(struct descriptors *d, int *fd)
{
	if (*fd >= 0 && d->n < DESCRIPTORS_MAX)
		d->keep[d->n++] = fd;
}

int descriptors_lift(struct descriptors *d, int floor, struct error *err)
{
	for (size_t i = 0; i < d->n; i++) {
		int fd = *d->keep[i];

		if (fd >= floor)
			continue;
		fd = fcntl(fd, F_DUPFD_CLOEXEC, floor);
		if (fd < 0)
			return error_errno(err, errno, "moving descriptors");
		*d->keep[i] = fd;
	}
	return 0;
}

static int by_number(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

void descriptors_close_others(const struct descriptors *d, int floor)
{
	int sorted[DESCRIPTORS_MAX];
	unsigned int next = (unsigned int)floor;

	for (size_t i = 0; i < d->n; i++)
		sorted[i] = *d->keep[i];
	qsort(sorted, d->n, sizeof(sorted[0]), by_number);
	for (size_t i = 0; i < d->n; i++) {
		unsigned int fd = (unsigned int)sorted[i];

		if (fd < next)
			continue;
		if (fd > next)
			call_close_range(next, fd - 1, 0);
		next = fd + 1;
	}
	call_close_range(next, ~0u, 0);
}

int descriptors_place_stdio(const int stdio[3], struct error *err)
{
	_cleanup_close_ int null = -1;

	for (int i = 0; i < 3; i++) {
		int fd = stdio[i];

		if (fd < 0) {
			if (null < 0)
				null = openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
			fd = null;
		}
		if (fd < 0 || dup2(fd, i) < 0)
			return error_errno(err, errno, "making descriptor %d of the process", i);
		if (fd == i) /* /dev/null was opened in its place */
			fcntl(fd, F_SETFD, 0);
		if (null == i)
			null = -1;
	}
	return 0;
}
