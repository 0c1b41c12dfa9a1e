/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfio: PCI devices of the host that the guest has: for its own drivers (vfio-pci-gk), or handed on
 * to a container through the guest's vfio-pci driver (vfio-pci).
 *
 * An option of such a device is DDDD:BB:SS.F=PCI-PATH: its address on the host, and where it is
 * plugged in here.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "guest/agent/device/pci_path.h"
#include "lib/base/error.h"

#define PCI_ADDRESS_SIZE sizeof("0000:00:00.0")

struct vfio_option {
	char host[PCI_ADDRESS_SIZE]; /* lower case */
	struct pci_path path;
};

/* What a PCI device is called on the host, and here. */
struct pci_name {
	char host[PCI_ADDRESS_SIZE], guest[PCI_ADDRESS_SIZE];
};

/* -EINVAL. */
int vfio_option_parse(struct vfio_option *out, const char *option, struct error *err);

/* "DDDD:BB:SS.F" in hexadecimal, in lower case; -EINVAL. */
int pci_address_parse(char out[PCI_ADDRESS_SIZE], const char *text);

/* Gives the device to vfio-pci, whatever driver has it, and says its IOMMU group. May block: for
 * helpers. -ENODEV: the kernel has no such driver, or the device no group; -EIO: the driver did not
 * take it. `sysfs` is "/sys" but for tests. */
int vfio_bind(const char *sysfs, const char *address, uint32_t *group, struct error *err);
