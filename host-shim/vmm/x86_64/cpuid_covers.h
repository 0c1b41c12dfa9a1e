/* SPDX-License-Identifier: Apache-2.0 */
/* cpuid_covers: whether a processor has all that another one told its guest. */
#pragma once

#include <linux/kvm.h>
#include <stddef.h>

#include "lib/base/error.h"

/* 0: each feature bit of `want` is in `have`, too. -ENOTSUP names the first leaf that is not. Bits
 * that follow the guest's own registers (OSXSAVE, OSPKE, the APIC's) say nothing of the processor.
 */
int cpuid_covers(const struct kvm_cpuid_entry2 *have, size_t n_have,
                 const struct kvm_cpuid_entry2 *want, size_t n_want, struct error *err);
