/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tpm: the PCRs of a boot of QEMU's -kernel through OVMF with a TPM that say which kernel,
 * initrd and command line run.
 *
 * PCRs 0 to 3, 6 and 7 are the firmware's and the machine's: not predicted.
 */
#pragma once

#include "lib/measure/efi_boot.h"

#define TPM_PCR_COUNT 9

/* PCR[4], [5], [9] and those that stay zero until something in the guest uses them: [8], [11]
 * to [15], in ascending order; in the bank of the algorithm. */
int tpm_pcrs(const struct efi_boot *boot, enum sha_alg bank, const struct measure_trace *t,
             struct measure_register out[TPM_PCR_COUNT], struct error *err);
