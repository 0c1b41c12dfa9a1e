/* SPDX-License-Identifier: Apache-2.0 */
/* disk_ready: opens a disk's node until the kernel lets it. */
#include "disk_ready.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

#define TRIES    1000
#define PAUSE_NS 10000000

/* Whether it is there; what is no block device is not opened. */
static int try_open(const char *path)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISBLK(st.st_mode))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

int disk_ready(const char *path, struct error *err)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	int r = try_open(path);

	for (int i = 0; i < TRIES && (r == -ENXIO || r == -ENOENT); i++) {
		nanosleep(&pause, NULL);
		r = try_open(path);
	}
	if (r == -ENXIO || r == -ENOENT)
		return error_errno(err, -r, "disk %s does not open", path);
	return 0;
}
