/* SPDX-License-Identifier: Apache-2.0 */
/* device_find: what a device path looks like, and where sysfs has the same device. */
#include "device_find.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

/* Is devpath "BASE/.../CLASS/NAME", NAME being the last component? A partition, whose path goes on
 * after the disk's, is not. */
static bool is_below(const char *devpath, const char *base, const char *class_name)
{
	size_t n = strlen(base);
	const char *last = strrchr(devpath, '/'), *c;
	size_t len = strlen(class_name);

	if (strncmp(devpath, base, n) != 0 || devpath[n] != '/' || !last || last <= devpath + n)
		return false;
	c = last - len;
	return c > devpath + n && c[-1] == '/' && memcmp(c, class_name, len) == 0;
}

/* The devpath of a link like /sys/class/net/eth0 -> ../../devices/...; false when it is none. */
static bool link_devpath(int dirfd, const char *name, char *out, size_t room)
{
	ssize_t n = readlinkat(dirfd, name, out, room - 1);
	char *devices;

	if (n < 0)
		return false;
	out[n] = '\0';
	devices = strstr(out, "/devices/");
	if (!devices)
		return false;
	memmove(out, devices, strlen(devices) + 1);
	return true;
}

typedef bool (*path_test)(const char *devpath, const void *data);

/* The first device of /sys/class/CLASS that passes. */
static int search_class(const char *sysfs, const char *class_name, path_test test, const void *data,
                        char *name, size_t room)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[PATH_MAX];
	struct dirent *e;

	if (snprintf(path, sizeof(path), "%s/class/%s", sysfs, class_name) >= (int)sizeof(path))
		return -ENOENT;
	dir = opendir(path);
	if (!dir)
		return -ENOENT;
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.' || strlen(e->d_name) >= room ||
		    !link_devpath(dirfd(dir), e->d_name, path, sizeof(path)) || !test(path, data))
			continue;
		strcpy(name, e->d_name);
		return 0;
	}
	return -ENOENT;
}

/* ---------------------------------------------------------------- by PCI path */
/* `data` of the tests below: the resolved folder of the device. */
static bool is_block_below(const char *devpath, const void *data)
{
	return is_below(devpath, data, "block");
}

static bool is_net_below(const char *devpath, const void *data)
{
	return is_below(devpath, data, "net");
}

/* A bridge that is itself being plugged in resolves later. */
static bool resolve(const struct device_key *key, const char *sysfs, char *out)
{
	return pci_path_resolve(sysfs, &key->pci, out, NULL) == 0;
}

static bool match_pci_block(const struct uevent *ev, const void *match_data, const char *sysfs)
{
	char base[PCI_SYSFS_PATH_MAX];

	return strcmp(ev->subsystem, "block") == 0 && resolve(match_data, sysfs, base) &&
	       is_block_below(ev->devpath, base);
}

static int lookup_pci_block(const void *match_data, const char *sysfs, char *name, size_t room)
{
	char base[PCI_SYSFS_PATH_MAX];

	return resolve(match_data, sysfs, base)
	           ? search_class(sysfs, "block", is_block_below, base, name, room)
	           : -ENOENT;
}

static bool match_pci_net(const struct uevent *ev, const void *match_data, const char *sysfs)
{
	char base[PCI_SYSFS_PATH_MAX];

	return strcmp(ev->subsystem, "net") == 0 && resolve(match_data, sysfs, base) &&
	       is_net_below(ev->devpath, base);
}

static int lookup_pci_net(const void *match_data, const char *sysfs, char *name, size_t room)
{
	char base[PCI_SYSFS_PATH_MAX];

	return resolve(match_data, sysfs, base)
	           ? search_class(sysfs, "net", is_net_below, base, name, room)
	           : -ENOENT;
}

const struct uevent_matcher device_pci_block = {match_pci_block, lookup_pci_block};
const struct uevent_matcher device_pci_net = {match_pci_net, lookup_pci_net};

/* ---------------------------------------------------------------- PCI devices, IOMMU groups */
/* Its event has no name: the look that follows finds it by its folder. */
static int lookup_pci(const void *match_data, const char *sysfs, char *name, size_t room)
{
	char base[PCI_SYSFS_PATH_MAX], path[PATH_MAX];
	const char *address;

	if (!resolve(match_data, sysfs, base) ||
	    snprintf(path, sizeof(path), "%s%s", sysfs, base) >= (int)sizeof(path) ||
	    !fs_exists(path))
		return -ENOENT;
	address = strrchr(base, '/') + 1;
	if (strlen(address) >= room)
		return -ENOENT;
	strcpy(name, address);
	return 0;
}

static bool match_pci(const struct uevent *ev, const void *match_data, const char *sysfs)
{
	char base[PCI_SYSFS_PATH_MAX];

	return strcmp(ev->subsystem, "pci") == 0 && resolve(match_data, sysfs, base) &&
	       strcmp(ev->devpath, base) == 0;
}

const struct uevent_matcher device_pci = {match_pci, lookup_pci};

static bool is_group_number(const char *name)
{
	return *name && strspn(name, "0123456789") == strlen(name);
}

static bool match_group(const struct uevent *ev, const void *match_data, const char *sysfs)
{
	static const char folder[] = "/devices/virtual/vfio/";
	const struct device_key *key = match_data;

	return str_starts(ev->devpath, folder) &&
	       strcmp(ev->devpath + strlen(folder), key->name) == 0;
}

static int lookup_group(const void *match_data, const char *sysfs, char *name, size_t room)
{
	const struct device_key *key = match_data;
	char path[PATH_MAX];

	if (!is_group_number(key->name) ||
	    snprintf(path, sizeof(path), "%s/devices/virtual/vfio/%s", sysfs, key->name) >=
	        (int)sizeof(path) ||
	    !fs_exists(path) || snprintf(name, room, "vfio/%s", key->name) >= (int)room)
		return -ENOENT;
	return 0;
}

const struct uevent_matcher device_vfio_group = {match_group, lookup_group};

/* ---------------------------------------------------------------- by name */
static bool match_block(const struct uevent *ev, const void *match_data, const char *sysfs)
{
	const struct device_key *key = match_data;

	return strcmp(ev->subsystem, "block") == 0 && strcmp(ev->devname, key->name) == 0;
}

static int lookup_block(const void *match_data, const char *sysfs, char *name, size_t room)
{
	const struct device_key *key = match_data;
	char path[PATH_MAX];

	if (!memchr(key->name, '\0', sizeof(key->name)) || strchr(key->name, '/') ||
	    key->name[0] == '.' || !*key->name || strlen(key->name) >= room ||
	    snprintf(path, sizeof(path), "%s/class/block/%s", sysfs, key->name) >=
	        (int)sizeof(path) ||
	    !fs_exists(path))
		return -ENOENT;
	strcpy(name, key->name);
	return 0;
}

const struct uevent_matcher device_block = {match_block, lookup_block};

/* ---------------------------------------------------------------- by hardware address */
static bool link_has_mac(const char *sysfs, const char *name, const char *mac)
{
	_cleanup_free_ char *path = str_printf("%s/class/net/%s/address", sysfs, name);
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	size_t n = strlen(mac);

	return path && n > 0 && fs_read_file(AT_FDCWD, path, 256, &text, NULL) == 0 &&
	       strncasecmp(buffer_cstr(&text), mac, n) == 0 &&
	       strspn(buffer_cstr(&text) + n, "\n") == text.size - n;
}

static bool match_mac(const struct uevent *ev, const void *match_data, const char *sysfs)
{
	const struct device_key *key = match_data;

	return strcmp(ev->subsystem, "net") == 0 && *ev->interface && !strchr(ev->interface, '/') &&
	       link_has_mac(sysfs, ev->interface, key->name);
}

static int lookup_mac(const void *match_data, const char *sysfs, char *name, size_t room)
{
	const struct device_key *key = match_data;
	_cleanup_free_ char *folder = str_printf("%s/class/net", sysfs);
	_cleanup_closedir_ DIR *dir = folder ? opendir(folder) : NULL;
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] == '.' || strlen(e->d_name) >= room ||
		    !link_has_mac(sysfs, e->d_name, key->name))
			continue;
		strcpy(name, e->d_name);
		return 0;
	}
	return -ENOENT;
}

const struct uevent_matcher device_mac_net = {match_mac, lookup_mac};

/* ---------------------------------------------------------------- SCSI */
/* Host and channel are the kernel's to number: ".../HOST:0:ID:LUN/block/sdX". */
static bool is_scsi_disk(const char *devpath, const void *data)
{
	const struct device_key *key = data;
	char want[64];
	const char *at;

	(void)snprintf(want, sizeof(want), ":0:%" PRIu32 ":%" PRIu64 "/block/", key->scsi.id,
	               key->scsi.lun);
	at = strstr(devpath, want);
	return at && !strchr(at + strlen(want), '/');
}

static bool match_scsi(const struct uevent *ev, const void *match_data, const char *sysfs)
{
	return strcmp(ev->subsystem, "block") == 0 && is_scsi_disk(ev->devpath, match_data);
}

static int lookup_scsi(const void *match_data, const char *sysfs, char *name, size_t room)
{
	return search_class(sysfs, "block", is_scsi_disk, match_data, name, room);
}

int device_scsi_parse(const char *address, struct device_key *key, struct error *err)
{
	const char *colon = strchr(address, ':');
	char id[16];

	if (colon && (size_t)(colon - address) < sizeof(id)) {
		memcpy(id, address, (size_t)(colon - address));
		id[colon - address] = '\0';
		if (parse_u32(id, &key->scsi.id) == 0 && parse_u64(colon + 1, &key->scsi.lun) == 0)
			return 0;
	}
	return error_set_kind(err, ERROR_INPUT, EINVAL, "\"%s\" is no SCSI address ID:LUN",
	                      address);
}

int device_scsi_check_host(const char *sysfs, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/class/scsi_host", sysfs);
	_cleanup_closedir_ DIR *dir = path ? opendir(path) : NULL;
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			return 0;
	return error_set(err, ENODEV, "no SCSI host to scan");
}

/* Writes "0 ID LUN" to every host's file "scan". */
static int scan_scsi(const void *match_data, const char *sysfs, struct error *err)
{
	const struct device_key *key = match_data;
	_cleanup_free_ char *folder = str_printf("%s/class/scsi_host", sysfs);
	_cleanup_closedir_ DIR *dir = folder ? opendir(folder) : NULL;
	struct dirent *e;
	char line[64];

	(void)snprintf(line, sizeof(line), "0 %" PRIu32 " %" PRIu64, key->scsi.id, key->scsi.lun);
	while (dir && (e = readdir(dir))) {
		char path[NAME_MAX + sizeof("/scan")];
		int r;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/scan", e->d_name);
		r = fs_write_string(dirfd(dir), path, line, err);
		if (r < 0)
			return error_prefix(err, r, "scan SCSI %s", line);
	}
	return 0;
}

const struct uevent_matcher device_scsi_block = {match_scsi, lookup_scsi, scan_scsi};
