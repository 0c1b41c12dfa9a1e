/* SPDX-License-Identifier: Apache-2.0 */
/* mmio_slots: virtio-mmio slots that a monitor fills and empties while the guest runs. */
#include "mmio_slots.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent/device/disk_ready.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

/* For a disk to appear once its driver has it. */
#define DISK_TRIES    200
#define DISK_PAUSE_NS 50000000

/* Platform devices by ACPI and by the word virtio_mmio.device=. */
static bool is_slot(const char *name)
{
	return str_starts(name, "LNRO0005:") || str_starts(name, "virtio-mmio.");
}

static bool has_driver(int devices, const char *name)
{
	_cleanup_free_ char *path = str_printf("%s/driver", name);

	return path && faccessat(devices, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool mmio_slots_empty(const char *sysfs)
{
	_cleanup_free_ char *folder = str_printf("%s/bus/platform/devices", sysfs);
	_cleanup_closedir_ DIR *dir = folder ? opendir(folder) : NULL;
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (is_slot(e->d_name) && !has_driver(dirfd(dir), e->d_name))
			return true;
	return false;
}

int mmio_slots_probe(const char *sysfs, struct error *err)
{
	_cleanup_free_ char *folder = str_printf("%s/bus/platform/devices", sysfs);
	_cleanup_free_ char *bind = str_printf("%s/bus/platform/drivers/virtio-mmio/bind", sysfs);
	_cleanup_closedir_ DIR *dir = folder ? opendir(folder) : NULL;
	struct dirent *e;
	int n = 0;

	if (!folder || !bind)
		return error_set(err, ENOMEM, "no memory to look for devices");
	if (!dir || !fs_exists(bind))
		return error_set(err, ENOENT, "this kernel has no virtio-mmio devices");
	while ((e = readdir(dir)))
		/* ENODEV: still empty. */
		if (is_slot(e->d_name) && !has_driver(dirfd(dir), e->d_name) &&
		    fs_write_string(AT_FDCWD, bind, e->d_name, NULL) == 0)
			n++;
	return n;
}

/* The slot on the path of a device ("/sys/devices/.../LNRO0005:03/virtio3/block/vda"): a piece of
 * `path`, ended, or NULL. */
static const char *slot_of(char *path)
{
	char *save = NULL;

	for (char *part = strtok_r(path, "/", &save); part; part = strtok_r(NULL, "/", &save))
		if (is_slot(part))
			return part;
	return NULL;
}

/* ---- by number: "LNRO0005:0a", the tenth from 0 on, or "virtio-mmio.10" */

static bool has_number(const char *name, uint32_t slot)
{
	const char *number = strpbrk(name, ":.");
	char *end;

	return is_slot(name) && number &&
	       strtoul(number + 1, &end, *number == ':' ? 16 : 10) == slot && end > number + 1 &&
	       *end == '\0';
}

/* Its name in fresh memory; NULL: there is none, or no memory. */
static char *find_slot(const char *sysfs, uint32_t slot)
{
	_cleanup_free_ char *folder = str_printf("%s/bus/platform/devices", sysfs);
	_cleanup_closedir_ DIR *dir = folder ? opendir(folder) : NULL;
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (has_number(e->d_name, slot))
			return strdup(e->d_name);
	return NULL;
}

static int no_slot(uint32_t slot, struct error *err)
{
	return error_set(err, ENOENT, "there is no virtio-mmio slot %u", slot);
}

/* The devices of a class ("block", "net") whose path goes through the slot. */
static int list_class(const char *sysfs, const char *class, const char *slot, struct buffer *names,
                      struct error *err)
{
	_cleanup_free_ char *folder = str_printf("%s/class/%s", sysfs, class);
	_cleanup_closedir_ DIR *dir = folder ? opendir(folder) : NULL;
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		_cleanup_free_ char *link = str_printf("%s/%s", folder, e->d_name);
		char device[PATH_MAX];
		const char *in;

		if (e->d_name[0] == '.' || !link || !realpath(link, device))
			continue;
		in = slot_of(device);
		if (in && strcmp(in, slot) == 0)
			buffer_printf(names, "%s\n", e->d_name);
	}
	return names->failed ? error_set(err, ENOMEM, "no memory for names of devices") : 0;
}

static int list_disks(const char *sysfs, const char *slot, struct buffer *names, struct error *err)
{
	return list_class(sysfs, "block", slot, names, err);
}

/* Of a block device or persistent memory (virtio 1.2 §5): "0x0002", "0x001b". */
static bool is_disk(const char *device)
{
	_cleanup_closedir_ DIR *dir = opendir(device);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		_cleanup_free_ char *file = str_printf("%s/device", e->d_name);
		_cleanup_buffer_ struct buffer id = BUFFER_INIT;

		if (!file || !str_starts(e->d_name, "virtio") ||
		    fs_read_file(dirfd(dir), file, 16, &id, NULL) < 0)
			continue;
		return str_starts(buffer_cstr(&id), "0x0002") ||
		       str_starts(buffer_cstr(&id), "0x001b");
	}
	return false;
}

/* "vda\nvdb\n" below `dev`. */
static int wait_ready(const char *dev, const struct buffer *names, struct error *err)
{
	_cleanup_free_ char *list = strdup(names->size > 0 ? buffer_cstr(names) : "");
	char *save = NULL;
	int r = list ? 0 : error_set(err, ENOMEM, "no memory for names of disks");

	for (char *n = list ? strtok_r(list, "\n", &save) : NULL; n && r == 0;
	     n = strtok_r(NULL, "\n", &save)) {
		_cleanup_free_ char *path = str_printf("%s/%s", dev, n);

		r = path ? disk_ready(path, err) : error_set(err, ENOMEM, "no memory for a name");
	}
	return r;
}

int mmio_slots_fill(const char *sysfs, const char *dev, uint32_t number, struct buffer *names,
                    struct error *err)
{
	_cleanup_free_ char *slot = find_slot(sysfs, number);
	_cleanup_free_ char *bind = str_printf("%s/bus/platform/drivers/virtio-mmio/bind", sysfs);
	_cleanup_free_ char *device =
	    str_printf("%s/bus/platform/devices/%s", sysfs, slot ? slot : "");
	const struct timespec pause = {.tv_nsec = DISK_PAUSE_NS};
	int r;

	if (!slot)
		return no_slot(number, err);
	if (!bind || !device)
		return error_set(err, ENOMEM, "no memory to look at slot %u", number);
	if (!has_driver(AT_FDCWD, device) && fs_write_string(AT_FDCWD, bind, slot, NULL) < 0)
		return error_set(err, ENOENT, "slot %u is empty, or its device has no driver here",
		                 number);
	r = list_disks(sysfs, slot, names, err);
	/* The kernel makes that of persistent memory a little later. */
	for (int i = 0; i < DISK_TRIES && r == 0 && names->size == 0 && is_disk(device); i++) {
		nanosleep(&pause, NULL);
		r = list_disks(sysfs, slot, names, err);
	}
	if (r == 0)
		r = wait_ready(dev, names, err);
	return r < 0 ? r : list_class(sysfs, "net", slot, names, err);
}

/* Exclusive opening is what mounting is, too (open(2), O_EXCL of a block device). */
static int check_idle(const char *dev, char *names, struct error *err)
{
	char *save = NULL;

	for (char *n = strtok_r(names, "\n", &save); n; n = strtok_r(NULL, "\n", &save)) {
		_cleanup_free_ char *path = str_printf("%s/%s", dev, n);
		_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_EXCL | O_CLOEXEC) : -1;

		if (fd < 0 && errno == EBUSY)
			return error_set(err, EBUSY, "%s is in use", path);
	}
	return 0;
}

int mmio_slots_clear(const char *sysfs, const char *dev, uint32_t number, struct error *err)
{
	_cleanup_buffer_ struct buffer names = BUFFER_INIT;
	_cleanup_free_ char *slot = find_slot(sysfs, number);
	_cleanup_free_ char *unbind =
	    str_printf("%s/bus/platform/drivers/virtio-mmio/unbind", sysfs);
	_cleanup_free_ char *device =
	    str_printf("%s/bus/platform/devices/%s", sysfs, slot ? slot : "");
	int r;

	if (!slot)
		return no_slot(number, err);
	if (!unbind || !device)
		return error_set(err, ENOMEM, "no memory to let go of slot %u", number);
	if (!has_driver(AT_FDCWD, device))
		return 0;
	r = list_disks(sysfs, slot, &names, err);
	if (r == 0 && names.size > 0 && buffer_cstr(&names)[0])
		r = check_idle(dev, (char *)names.data, err);
	return r < 0 ? r : fs_write_string(AT_FDCWD, unbind, slot, err);
}
