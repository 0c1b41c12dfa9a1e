/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout: where things are in the guest-physical address space of the built-in monitor.
 *
 * Memory begins at 0 and leaves out the last gigabyte below 4 GiB, where devices and interrupt
 * controllers are; what does not fit below goes on at 4 GiB. Persistent memory lies above.
 */
#pragma once

#define LAYOUT_PAGE 4096ull

/* Below 1 MiB: what the monitor writes for the kernel's first instructions. */
#define LAYOUT_GDT         0x500ull
#define LAYOUT_START_INFO  0x6000ull /* of PVH, its modules and memory map behind it */
#define LAYOUT_ZERO_PAGE   0x7000ull /* struct boot_params of Linux */
#define LAYOUT_MULTIBOOT   0x8000ull
#define LAYOUT_PAGE_TABLES 0x9000ull  /* PML4, PDPT and 4 directories: 6 pages */
#define LAYOUT_CMDLINE     0x20000ull /* and what fits into 64 KiB */
#define LAYOUT_CMDLINE_MAX 0x10000ull
#define LAYOUT_EBDA        0x9fc00ull /* MP table; e820 says that memory ends here */
#define LAYOUT_EBDA_SIZE   0x400ull
#define LAYOUT_BIOS        0xe0000ull /* ACPI tables */
#define LAYOUT_GENERATION  0xff000ull /* 16 bytes of the VM generation id; its page is reserved */
#define LAYOUT_BIOS_END    0x100000ull
#define LAYOUT_KERNEL_MIN  0x100000ull /* kernels are loaded from here on */

#define LAYOUT_GAP     0xc0000000ull /* no memory from here ... */
#define LAYOUT_GAP_END 0x100000000ull

#define LAYOUT_VIRTIO      0xd0000000ull /* one page each virtio-mmio device */
#define LAYOUT_VIRTIO_SIZE 0x1000ull
#define LAYOUT_IOAPIC      0xfec00000ull
#define LAYOUT_LAPIC       0xfee00000ull
#define LAYOUT_KVM_IDENT   0xfffbc000ull /* 1 page, for VMX without unrestricted guests */
#define LAYOUT_KVM_TSS     0xfffbd000ull /* 3 pages, the same */

#define LAYOUT_PMEM_ALIGN (1ull << 30)

/* Global system interrupts of the IO-APIC: below are those of the PC's own devices. */
#define LAYOUT_GSI_EVENTS 3u /* ACPI's generic event device */
#define LAYOUT_GSI_FIRST  5u
#define LAYOUT_GSI_LAST   23u

/* Ports. */
#define LAYOUT_PORT_I8042  0x60u /* 0x60 to 0x64 */
#define LAYOUT_PORT_EXIT   0xf4u
#define LAYOUT_PORT_SERIAL 0x3f8u
#define LAYOUT_PORT_PANIC  0x505u
#define LAYOUT_PORT_SLEEP  0x600u /* ACPI 6.4 §4.8.3.7: control, then status */
