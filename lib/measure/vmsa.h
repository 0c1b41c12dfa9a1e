/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmsa: the page with the first state of a virtual processor (AMD APM volume 2, appendix B,
 * table B-4), as KVM and QEMU make it.
 */
#pragma once

#include <stdint.h>

#define VMSA_SIZE     4096
#define VMSA_BOOT_EIP 0xfffffff0u /* where the first processor begins */
#define VMSA_SNP      0x1ull      /* SEV_FEATURES: the guest is an SNP guest */

/* eip: its first instruction; signature: CPUID 1, EAX; features: SEV_FEATURES. The floating
 * point unit's state is there, as it is from Linux 6.11 on, the first with SNP guests. */
void vmsa_page(uint32_t eip, uint32_t signature, uint64_t features, uint8_t page[VMSA_SIZE]);
