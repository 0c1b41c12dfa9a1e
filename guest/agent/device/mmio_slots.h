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

#include "lib/base/error.h"

/* Whether there is a slot without a driver. */
bool mmio_slots_empty(const char *sysfs);

/* Looks at every slot without a driver again; `sysfs` is "/sys". Returns how many got one, or a
 * negative errno value: -ENOENT, this kernel has no virtio-mmio. The kernel reads a disk's
 * partitions meanwhile, so this waits for the disk. */
int mmio_slots_probe(const char *sysfs, struct error *err);

/* Takes the driver off the slot that block device `name` ("vda") is in: the disk is gone when this
 * returns, and the slot can be emptied. -ENOENT: no such disk, -ENOTSUP: it is in no slot. */
int mmio_slots_release(const char *sysfs, const char *name, struct error *err);
