/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plug-init: PID 1 of a guest whose disks come and go: looks at its empty slots again and again,
 * as the agent does when a disk is not there; shows what is on a disk that came, keeps it for two
 * seconds and lets go of it. A disk that says "last" it keeps, and turns the machine off.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/device/disk_ready.h"
#include "guest/agent/device/mmio_slots.h"
#include "lib/base/cleanup.h"

enum { TRIES = 300, LOOK_US = 200000, TEXT = 32, SLOTS = 3 };

static bool find_disk(char name[64])
{
	_cleanup_closedir_ DIR *dir = opendir("/sys/class/block");
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.') {
			snprintf(name, 64, "%.63s", e->d_name);
			return true;
		}
	return false;
}

/* What the disk says: a line of text at its very beginning. */
static bool read_disk(const char *name, char text[TEXT], struct error *err)
{
	char path[128];
	_cleanup_close_ int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/dev/%.63s", name);
	if (disk_ready(path, err) < 0)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, TEXT - 1);
	if (n < 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return true;
}

/* The slot is the one in which the disk is. */
static int release(const char *name, struct error *err)
{
	for (unsigned int slot = 0; slot < SLOTS; slot++) {
		_cleanup_buffer_ struct buffer names = BUFFER_INIT;

		if (mmio_slots_fill("/sys", "/dev", slot, &names, err) == 0 && names.size > 0 &&
		    strncmp(buffer_cstr(&names), name, strlen(name)) == 0)
			return mmio_slots_clear("/sys", "/dev", slot, err);
	}
	return error_set(err, ENOENT, "%s is in none of %d slots", name, SLOTS);
}

static bool one_disk(void)
{
	char name[64] = "", text[TEXT] = "";
	struct error err = ERROR_INIT;
	int found = 0, r;

	for (int i = 0; i < TRIES && !find_disk(name); i++) {
		usleep(LOOK_US);
		found += mmio_slots_probe("/sys", &err) > 0;
	}
	if (found != 1 || !read_disk(name, text, &err)) {
		printf("plug failed: %d slots got a driver, disk \"%s\"; %s\n", found, name,
		       err.text);
		return false;
	}
	printf("plug has %s: %s\n", name, text);
	sleep(2);
	if (strcmp(text, "last") == 0)
		return false;
	r = release(name, &err);
	if (r < 0 || find_disk(name)) {
		printf("plug failed: %s is still there; %s\n", name, err.text);
		return false;
	}
	printf("plug let go\n");
	return true;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	printf("plug ready\n");
	while (one_disk())
		;
	printf("plug end\n");
	reboot(RB_POWER_OFF);
	return 0;
}
