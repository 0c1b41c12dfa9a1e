/* SPDX-License-Identifier: Apache-2.0 */
/* started: looks at the status of the first virtio device that works. */
#include "started.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

#define DEVICES   8 /* the root or the console is one of the first */
#define DRIVER_OK 4 /* virtio 1.2 §2.1 */

/* "0x0000000f\n"; each read is a look. */
static bool works(int fd)
{
	char text[16] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 && strtoul(text, NULL, 16) & DRIVER_OK;
}

int started_tell_host(const char *sysfs)
{
	for (unsigned int i = 0; i < DEVICES; i++) {
		_cleanup_close_ int fd = -1;
		char path[256];

		snprintf(path, sizeof(path), "%s/bus/virtio/devices/virtio%u/status", sysfs, i);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && works(fd) && works(fd))
			return 0;
	}
	return 1;
}
