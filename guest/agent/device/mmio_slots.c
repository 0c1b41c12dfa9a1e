/* SPDX-License-Identifier: Apache-2.0 */
/* mmio_slots: virtio-mmio slots that a monitor fills and empties while the guest runs. */
#include "mmio_slots.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

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

int mmio_slots_release(const char *sysfs, const char *name, struct error *err)
{
	_cleanup_free_ char *unbind =
	    str_printf("%s/bus/platform/drivers/virtio-mmio/unbind", sysfs);
	_cleanup_free_ char *link = str_printf("%s/class/block/%s", sysfs, name);
	char device[PATH_MAX];
	const char *slot;

	if (!unbind || !link)
		return error_set(err, ENOMEM, "no memory to release %s", name);
	if (str_empty(name) || *name == '.' || strchr(name, '/') || !realpath(link, device))
		return error_set(err, ENOENT, "there is no disk %s", name);
	slot = slot_of(device);
	if (!slot)
		return error_set(err, ENOTSUP, "disk %s is in no virtio-mmio slot", name);
	return fs_write_string(AT_FDCWD, unbind, slot, err);
}
