/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi: tables that tell a kernel its processors and devices (ACPI 6.4).
 *
 * A hardware-reduced machine: no legacy timers or interrupt controllers, power-off by the sleep
 * control register, restart by the reset register. The tables lie below 1 MiB, and so does the
 * generation id (Microsoft's "Virtual Machine Generation ID"): 16 bytes that are others in each
 * machine that was made from the same memory, of which a kernel hears by the generic event device.
 */
#pragma once

#include <stdint.h>

#include "host-shim/vmm/memory.h"
#include "lib/base/error.h"

struct acpi_device {
	uint64_t base; /* of a virtio-mmio device */
	uint32_t gsi;
};

struct acpi_config {
	unsigned int cpus;
	const struct acpi_device *devices;
	unsigned int n_devices;
};

/* *rsdp: where the root pointer is. */
int acpi_write(const struct guest_memory *m, const struct acpi_config *config, uint64_t *rsdp,
               struct error *err);

/* Writes a new generation id; an edge on LAYOUT_GSI_EVENTS tells a guest that has the old one. */
int acpi_write_generation(const struct guest_memory *m, struct error *err);
