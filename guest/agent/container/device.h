/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device: what is in a container's /dev (config-linux.md, "Devices" and "Default
 * Devices"): nodes, and the customary links.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

/* The six devices that every container has. */
extern const struct oci_device default_devices[];
extern const size_t n_default_devices;

/* Makes the default devices, those of the specification, and the links, inside the rootfs.
 * With `bind` (a user namespace forbids mknod), and where mknod is not permitted, the runtime's own
 * nodes are bound instead.
 * A /dev that is bound from the runtime is left as it is, but for linux.devices. */
int devices_make(int root_fd, const struct oci_spec *spec, bool bind, struct error *err);
