/* SPDX-License-Identifier: Apache-2.0 */
/* cpuid: what CPUID tells a guest. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host-shim/vmm/kvm.h"
#include "lib/base/error.h"

#define CPUID_ENTRIES_MAX 256

struct cpuid_model;

/* The model of that name: "x86-64-v2" or "x86-64-v3" (System V ABI, AMD64 supplement, "micro-
 * architecture levels"), which tells a guest those features and no others, so that it is the same
 * on every host that has them; what the host says of its speculation faults stays. NULL: there is
 * none. */
const struct cpuid_model *cpuid_model_find(const char *name);

/* Model NULL: all that KVM offers of the host's. -ENOTSUP: this host lacks some of the model. */
int cpuid_setup(const struct kvm *kvm, int fd, unsigned int id, unsigned int n,
                const struct cpuid_model *model, struct error *err);
