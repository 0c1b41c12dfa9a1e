/* SPDX-License-Identifier: Apache-2.0 */
/* mptable: processors and interrupts for kernels without ACPI (MultiProcessor Specification 1.4).
 */
#pragma once

#include "host-shim/vmm/memory.h"
#include "lib/base/error.h"

/* The floating pointer and the table lie where memory ends below 640 KiB. */
int mptable_write(const struct guest_memory *m, unsigned int cpus, struct error *err);
