/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmio_slots: virtio-mmio slots that a monitor fills and empties while the guest runs.
 *
 * A slot is a platform device. One that is empty at boot has DeviceID 0, a placeholder (virtio 1.2
 * §4.2.2): the driver refuses it and leaves it without a driver. Nothing tells the kernel when it
 * is filled; binding it again looks anew.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

/* Whether there is a slot without a driver. */
bool mmio_slots_empty(const char *sysfs);

/* Looks at every slot without a driver again; `sysfs` is "/sys". Returns how many got one, or a
 * negative errno value: -ENOENT, this kernel has no virtio-mmio. The kernel reads a disk's
 * partitions meanwhile, so this waits for the disk. */
int mmio_slots_probe(const char *sysfs, struct error *err);

/* Looks at one slot again, counted from 0 in the machine's order. *names: the disks in it, a line
 * each ("vdb\n"), which can be opened below `dev` ("/dev") by now, and network interfaces
 * ("eth1\n"). -ENOENT: no such slot, or it is empty. Waits as mmio_slots_probe() does. */
int mmio_slots_fill(const char *sysfs, const char *dev, uint32_t slot, struct buffer *names,
                    struct error *err);

/* Takes the driver off a slot, by its number; fine when it has none. -EBUSY: a
 * disk in it is mounted, or claimed otherwise; -ENOENT: no such slot. */
int mmio_slots_clear(const char *sysfs, const char *dev, uint32_t slot, struct error *err);
