/* SPDX-License-Identifier: Apache-2.0 */
/* cpu: what a processor is (CPUID, MSRs) and how it starts (registers, GDT, page tables). */
#pragma once

#include <stdint.h>

#include "host-shim/vmm/boot/load.h"
#include "host-shim/vmm/kvm.h"
#include "lib/base/error.h"

struct cpuid_model;

/* Processor `id` of `n`: what KVM offers of the host's, or of the model (cpuid.h), and its place
 * among the others. */
int cpu_setup(const struct kvm *kvm, int fd, unsigned int id, unsigned int n,
              const struct cpuid_model *model, struct error *err);

/* Writes the GDT and the identity page tables for 64-bit entries into guest memory. */
int cpu_write_tables(const struct guest_memory *m, struct error *err);

/* The registers of the first processor at the kernel's entry. */
int cpu_set_entry(int fd, const struct load_entry *entry, struct error *err);
