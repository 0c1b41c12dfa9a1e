/* SPDX-License-Identifier: Apache-2.0 */
/* vfio: options, and the driver of a device (Documentation/ABI/testing/sysfs-bus-pci). */
#include "guest/agent/device/vfio.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define DRIVER "vfio-pci"

int pci_address_parse(char out[PCI_ADDRESS_SIZE], const char *text)
{
	static const char form[] = "xxxx:xx:xx.x";

	for (size_t i = 0; i < PCI_ADDRESS_SIZE; i++) {
		char c = text[i];

		if (form[i] == 'x' ? !isxdigit((unsigned char)c) : c != form[i])
			return -EINVAL;
		out[i] = (char)tolower((unsigned char)c);
	}
	/* A slot has five bits, a function three. */
	return out[8] > '1' || out[11] > '7' ? -EINVAL : 0;
}

int vfio_option_parse(struct vfio_option *out, const char *option, struct error *err)
{
	const char *equals = strchr(option, '=');
	char host[PCI_ADDRESS_SIZE];

	if (equals && equals - option == PCI_ADDRESS_SIZE - 1) {
		memcpy(host, option, PCI_ADDRESS_SIZE - 1);
		host[PCI_ADDRESS_SIZE - 1] = '\0';
		if (pci_address_parse(out->host, host) == 0)
			return pci_path_parse(&out->path, equals + 1, err);
	}
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "VFIO option \"%.100s\" is not DDDD:BB:SS.F=PCI-PATH", option);
}

/* The last component of a link of the device's; -errno, -ENOENT when there is none. */
static int link_name(int dev, const char *name, char out[NAME_MAX + 1])
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dev, name, target, sizeof(target) - 1);
	const char *last;

	if (n < 0)
		return -errno;
	target[n] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	return snprintf(out, NAME_MAX + 1, "%s", last) > NAME_MAX ? -ENAMETOOLONG : 0;
}

static bool has_driver(int dev)
{
	char name[NAME_MAX + 1];

	return link_name(dev, "driver", name) == 0 && strcmp(name, DRIVER) == 0;
}

/* By driver_override: that device alone, and whatever its numbers are. */
static int change_driver(int pci, int dev, const char *address, struct error *err)
{
	char name[NAME_MAX + 1];
	int r = fs_write_string(dev, "driver_override", DRIVER, err);

	if (r < 0 || has_driver(dev))
		return r;
	r = link_name(dev, "driver", name);
	if (r == 0)
		r = fs_write_string(dev, "driver/unbind", address, err);
	else
		r = r == -ENOENT ? 0 : error_errno(err, -r, "its driver");
	return r < 0 ? r : fs_write_string(pci, "drivers_probe", address, err);
}

static int read_group(int dev, uint32_t *group, struct error *err)
{
	char name[NAME_MAX + 1];
	int r = link_name(dev, "iommu_group", name);

	if (r == -ENOENT)
		return error_set(err, ENODEV,
		                 "it has no IOMMU group: the guest needs a virtual "
		                 "IOMMU to hand devices to containers");
	if (r < 0 || parse_u32(name, group) < 0)
		return error_set(err, EIO, "its IOMMU group has no number");
	return 0;
}

static int bind_device(const char *sysfs, const char *address, uint32_t *group, struct error *err)
{
	_cleanup_free_ char *bus = str_printf("%s/bus/pci", sysfs);
	_cleanup_free_ char *folder = str_printf("%s/bus/pci/devices/%s", sysfs, address);
	_cleanup_close_ int pci = -1, dev = -1;
	int r;

	if (!bus || !folder)
		return error_set(err, ENOMEM, "out of memory");
	pci = open(bus, O_PATH | O_DIRECTORY | O_CLOEXEC);
	dev = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (pci < 0 || dev < 0)
		return error_errno(err, errno, "%s", folder);
	if (faccessat(pci, "drivers/" DRIVER, F_OK, 0) < 0)
		return error_set(err, ENODEV, "this guest's kernel has no driver " DRIVER);
	r = read_group(dev, group, err);
	if (r == 0)
		r = change_driver(pci, dev, address, err);
	if (r == 0 && !has_driver(dev))
		r = error_set(err, EIO, "the driver " DRIVER " did not take it");
	return r;
}

int vfio_bind(const char *sysfs, const char *address, uint32_t *group, struct error *err)
{
	int r = bind_device(sysfs, address, group, err);

	return r < 0 ? error_prefix(err, r, "PCI device %s", address) : 0;
}
