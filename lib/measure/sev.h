/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev: the launch digest of an SEV guest (SEV API 0.24, 6.2, LAUNCH_UPDATE_DATA) when QEMU starts
 * OVMF with kernel-hashes=on. The platform signs it, and the guest's policy, in LAUNCH_MEASURE.
 * Not of SEV-ES guests, whose processors are in it, too.
 */
#pragma once

#include "lib/measure/snp.h"

#define SEV_DIGEST_SIZE SHA256_SIZE

/* -EINVAL and -ENODATA (kind input) for a firmware without a place for digests of the kernel. */
int sev_measure(const struct blob *firmware, const struct snp_kernel *kernel,
                const struct measure_trace *t, uint8_t out[SEV_DIGEST_SIZE], struct error *err);
