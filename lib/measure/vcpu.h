/* SPDX-License-Identifier: Apache-2.0 */
/* vcpu: signatures (CPUID 1, EAX) of QEMU's models of AMD processors that run SEV-SNP guests. */
#pragma once

#include <stdint.h>

#include "lib/base/error.h"

#define VCPU_DEFAULT "EPYC-v4"

/* "EPYC-Milan", "EPYC-v4": as in QEMU's -cpu. -EINVAL (kind usage) for a name that is not known,
 * with a line that lists those that are. */
int vcpu_signature(const char *name, uint32_t *out, struct error *err);
