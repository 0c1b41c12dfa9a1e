/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci_path: where a PCI device is, said without bus numbers.
 *
 * The host knows slots, not the bus numbers the guest's kernel gives: "02/03" is the device in
 * slot 3 behind the bridge in slot 2 of the root bus. A segment is SS or SS.F in hexadecimal.
 * A path of three segments whose first is 0x20 or more starts at an expander root bus of that
 * number.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define PCI_PATH_MAX_DEPTH 16
#define PCI_SYSFS_PATH_MAX 512

struct pci_path {
	uint8_t root_bus;
	uint8_t depth; /* slots in use, at least 1 */
	struct {
		uint8_t slot, function;
	} at[PCI_PATH_MAX_DEPTH];
};

/* -EINVAL: empty, not hexadecimal, slot over 1f, function over 7, too deep. */
int pci_path_parse(struct pci_path *out, const char *text, struct error *err);

/* The device's folder relative to sysfs, "/devices/pci0000:00/0000:00:02.0/0000:01:03.0".
 * -ENOENT when a bridge on the way is not there (it may still come), -EINVAL when a device on the
 * way is no bridge or has not exactly one bus. The last device need not exist. `sysfs` is "/sys"
 * but for tests; `out` has PCI_SYSFS_PATH_MAX bytes. */
int pci_path_resolve(const char *sysfs, const struct pci_path *p, char *out, struct error *err);
