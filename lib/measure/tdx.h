/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tdx: MRTD and RTMR[1] to [3] of a TDX guest that QEMU starts with a TDVF and -kernel.
 *
 * RTMR[0] is not predicted: it holds the hand-off block (memory map), ACPI tables and boot
 * variables, which QEMU makes from its version and all of its arguments.
 */
#pragma once

#include "lib/measure/efi_boot.h"
#include "lib/measure/firmware.h"

#define TDX_DIGEST_SIZE SHA384_SIZE

/* Intel TDX module base architecture specification, 12.2.1: SHA-384 of all TDH.MEM.PAGE.ADD and
 * TDH.MR.EXTEND, in the order of KVM (a page is added, then extended). */
int tdx_mrtd(const struct blob *firmware, const struct measure_trace *t,
             uint8_t out[TDX_DIGEST_SIZE], struct error *err);

#define TDX_RTMR_FIRST 1
#define TDX_RTMR_COUNT 3 /* RTMR[1], RTMR[2], RTMR[3] */

int tdx_rtmrs(const struct efi_boot *boot, const struct measure_trace *t,
              struct measure_register out[TDX_RTMR_COUNT], struct error *err);
