/* SPDX-License-Identifier: Apache-2.0 */
/* cpuid: what CPUID tells a guest. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host-shim/vmm/kvm.h"
#include "lib/base/error.h"

#define CPUID_ENTRIES_MAX 256

int cpuid_setup(const struct kvm *kvm, int fd, unsigned int id, unsigned int n, struct error *err);
