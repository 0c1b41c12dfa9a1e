/* SPDX-License-Identifier: Apache-2.0 */
/* container_devices: the devices of a CreateContainer request, one after the other: waited for,
 * given to the driver that the container needs, and entered into its specification. */
#pragma once

#include <stddef.h>

#include "guest/agent/sandbox_container.h"
#include "lib/oci/runtime_spec.h"
#include "lib/rpc/proto/agent.pb-c.h"

typedef void (*container_devices_fn)(int result, const struct error *err, void *data);

/* Devices, specification and container stay until done is called, which happens once, and never
 * from within. 1: there was nothing to wait for, all is done, and done is not called. The names of
 * PCI devices go into the container, for the processes that come later. */
int container_devices_add(struct sandbox_container *c, Grpc__Device *const *v, size_t n,
                          struct oci_spec *spec, container_devices_fn done, void *data,
                          struct error *err);
/* Does not wait for a device any longer: done is called soon. */
void container_devices_cancel(struct sandbox_container *c);
