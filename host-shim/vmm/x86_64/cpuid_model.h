/* SPDX-License-Identifier: Apache-2.0 */
/* cpuid_model: the named processor models, applied to what KVM offers. */
#pragma once

#include <linux/kvm.h>

#include "host-shim/vmm/x86_64/cpuid.h"

/* Takes away from the entries what the model has not. -ENOTSUP: they lack some of it. */
int cpuid_model_apply(const struct cpuid_model *model, struct kvm_cpuid2 *c, struct error *err);
