/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firmware: what a guest firmware (OVMF, TDVF) says of itself to the one who launches it.
 *
 * The last bytes of the file hold a table of GUIDs (edk2, OvmfPkg/ResetVector); two of its
 * entries lead to lists of guest memory that is put in place, and measured, at launch: one for
 * SEV-SNP, one for TDX. A file that has no such list is -ENODATA, one that contradicts itself
 * -EINVAL; both are of kind ERROR_INPUT. All positions are checked against the file's size.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/measure/sha.h"

#define FIRMWARE_MAX_SIZE     (64u << 20)  /* bytes */
#define FIRMWARE_MAX_SECTIONS 64           /* in one list */
#define FIRMWARE_MAX_MEMORY   (256u << 20) /* bytes of guest memory that a list names in all */
#define FIRMWARE_PAGE         4096u

/* edk2: OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm */
enum sev_section_type {
	SEV_SECTION_MEMORY = 1,
	SEV_SECTION_SECRETS = 2,
	SEV_SECTION_CPUID = 3,
	SEV_SECTION_SVSM_CAA = 4,
	SEV_SECTION_KERNEL_HASHES = 0x10,
};

struct sev_section {
	uint32_t gpa; /* guest physical address; whole pages, as is the next */
	uint32_t size;
	uint32_t type;
};

struct sev_firmware {
	struct sev_section sections[FIRMWARE_MAX_SECTIONS];
	size_t n_sections;
	bool has_hash_table; /* there is room for digests of kernel, initrd and words */
	uint32_t hash_table, hash_table_size;
	uint32_t reset_eip; /* where all processors but the first begin */
};

int firmware_sev(const struct blob *fw, struct sev_firmware *out, struct error *err);

/* TDX Virtual Firmware Design Guide, 11.2 */
enum tdx_section_type {
	TDX_SECTION_BFV = 0,
	TDX_SECTION_CFV = 1,
	TDX_SECTION_TD_HOB = 2,
	TDX_SECTION_TEMP_MEM = 3,
};

/* Attributes */
#define TDX_SECTION_EXTEND 1u /* its content is measured */
#define TDX_SECTION_AUG    2u /* added later, by the guest: not measured at all */

struct tdx_section {
	uint32_t offset; /* in the file; with raw_size 0 there is no content */
	uint32_t raw_size;
	uint64_t gpa; /* whole pages, as is the next */
	uint64_t size;
	uint32_t type;
	uint32_t attributes;
};

struct tdx_firmware {
	struct tdx_section sections[FIRMWARE_MAX_SECTIONS];
	size_t n_sections;
};

int firmware_tdx(const struct blob *fw, struct tdx_firmware *out, struct error *err);
