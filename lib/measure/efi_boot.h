/* SPDX-License-Identifier: Apache-2.0 */
/*
 * efi_boot: what is measured when OVMF starts QEMU's -kernel through its EFI stub: by the
 * firmware (TCG PC Client Platform Firmware Profile, 3.3.4; edk2, SecurityPkg and
 * OvmfPkg/Tcg) and by the stub (Linux, drivers/firmware/efi/libstub). With a TPM the events go
 * to PCRs, in a TDX guest to RTMRs.
 */
#pragma once

#include <stdbool.h>

#include "lib/measure/trace.h"

struct efi_boot {
	struct blob kernel;  /* as the firmware gets it, see linux_image.h */
	struct blob initrd;  /* NULL: none */
	const char *cmdline; /* QEMU's -append */
	/* Where the firmware puts the word initrd=initrd: edk2 puts it first since
	 * edk2-stable202508, and put it last before. Only with an initrd. */
	bool initrd_word_first;
};

enum efi_event {
	EFI_EVENT_END,
	EFI_EVENT_IMAGE,     /* the kernel's Authenticode digest */
	EFI_EVENT_CALLING,   /* a boot option is called */
	EFI_EVENT_SEPARATOR, /* the firmware is done with this register */
	EFI_EVENT_OPTIONS,   /* the command line, in UTF-16 with its NUL; by the stub */
	EFI_EVENT_INITRD,    /* by the stub */
	EFI_EVENT_EXIT,      /* boot services are left */
	EFI_EVENT_EXITED,
};

/* Extends the register with the events up to EFI_EVENT_END, without those that this boot does
 * not have (no initrd, an empty command line). */
int efi_boot_extend(struct measure_register *reg, const struct efi_boot *boot,
                    const enum efi_event *events, const struct measure_trace *t, struct error *err);
/* -EINVAL: the kernel has no EFI stub, or the command line is one that the kernel would cut
 * short. */
int efi_boot_check(const struct efi_boot *boot, struct error *err);
