/* SPDX-License-Identifier: Apache-2.0 */
/* tpm: which event of a boot goes to which PCR. */
#include "lib/measure/tpm.h"

/* edk2: OvmfPkg/Library/PlatformBootManagerLib/QemuKernel.c loads the kernel, then signals that
 * the machine is ready to boot; SecurityPkg/Tcg/Tcg2Dxe measures the rest. */
static const enum efi_event pcr4[] = {EFI_EVENT_IMAGE, EFI_EVENT_CALLING, EFI_EVENT_SEPARATOR,
                                      EFI_EVENT_END};
static const enum efi_event pcr5[] = {EFI_EVENT_SEPARATOR, EFI_EVENT_EXIT, EFI_EVENT_EXITED,
                                      EFI_EVENT_END};
static const enum efi_event pcr9[] = {EFI_EVENT_OPTIONS, EFI_EVENT_INITRD, EFI_EVENT_END};
static const enum efi_event nothing[] = {EFI_EVENT_END};

static const struct {
	unsigned int pcr;
	const enum efi_event *events;
} table[TPM_PCR_COUNT] = {
    {4, pcr4},     {5, pcr5},     {8, nothing},  {9, pcr9},     {11, nothing},
    {12, nothing}, {13, nothing}, {14, nothing}, {15, nothing},
};

int tpm_pcrs(const struct efi_boot *boot, enum sha_alg bank, const struct measure_trace *t,
             struct measure_register out[TPM_PCR_COUNT], struct error *err)
{
	int r = efi_boot_check(boot, err);

	for (size_t i = 0; r == 0 && i < TPM_PCR_COUNT; i++) {
		measure_register_init(&out[i], bank, "PCR[%u]", table[i].pcr);
		r = efi_boot_extend(&out[i], boot, table[i].events, t, err);
	}
	return r;
}
