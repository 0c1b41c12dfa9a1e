/* SPDX-License-Identifier: Apache-2.0 */
/* tell: what each kind of kernel is told at its entry, as bytes in guest memory. */
#pragma once

#include "host-shim/vmm/boot/load.h"

struct tell {
	const struct guest_memory *memory;
	const struct kernel_image *kernel;
	const char *cmdline;
	uint64_t initrd, initrd_size, rsdp;
};

/* Linux's struct boot_params; the address. 0 for no room in guest memory. */
uint64_t tell_linux(const struct tell *t);
/* struct hvm_start_info of PVH. */
uint64_t tell_pvh(const struct tell *t);
/* Multiboot information. */
uint64_t tell_multiboot(const struct tell *t);
/* The magic in EAX at a multiboot entry. */
#define TELL_MULTIBOOT_MAGIC 0x2badb002u
