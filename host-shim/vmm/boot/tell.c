/* SPDX-License-Identifier: Apache-2.0 */
/* tell: what each kind of kernel is told at its entry. */
#include "tell.h"

#include <string.h>

#include "host-shim/vmm/layout.h"
#include "lib/base/bytes.h"

/* Linux Documentation/arch/x86/zero-page.rst: offsets in struct boot_params. */
#define ZP_RSDP           0x070
#define ZP_E820_ENTRIES   0x1e8
#define ZP_SETUP          0x1f1
#define ZP_BOOT_FLAG      0x1fe
#define ZP_MAGIC          0x202
#define ZP_VERSION        0x206
#define ZP_TYPE_OF_LOADER 0x210
#define ZP_RAMDISK_IMAGE  0x218
#define ZP_RAMDISK_SIZE   0x21c
#define ZP_CMDLINE        0x228
#define ZP_CMDLINE_SIZE   0x238
#define ZP_E820           0x2d0
#define LOADER_UNKNOWN    0xff

/* The same 20 bytes in all three lists of memory. */
static void put_entry(uint8_t *at, const struct memory_map_entry *e)
{
	put_le64(at, e->gpa);
	put_le64(at + 8, e->size);
	put_le32(at + 16, e->type);
}

uint64_t tell_linux(const struct tell *t)
{
	struct memory_map_entry map[MEMORY_MAP_MAX];
	unsigned int n = memory_map(t->memory, map);
	uint8_t *z = guest_memory_ptr(t->memory, LAYOUT_ZERO_PAGE, LAYOUT_PAGE, GUEST_WRITE);

	if (!z)
		return 0;
	memset(z, 0, LAYOUT_PAGE);
	if (t->kernel->setup) {
		memcpy(z + ZP_SETUP, t->kernel->setup, t->kernel->setup_size);
	} else {
		put_le16(z + ZP_BOOT_FLAG, 0xaa55);
		memcpy(z + ZP_MAGIC, "HdrS", 4);
		put_le16(z + ZP_VERSION, 0x020f);
		put_le32(z + ZP_CMDLINE_SIZE, (uint32_t)t->kernel->cmdline_max);
	}
	z[ZP_TYPE_OF_LOADER] = LOADER_UNKNOWN;
	put_le32(z + ZP_RAMDISK_IMAGE, (uint32_t)t->initrd);
	put_le32(z + ZP_RAMDISK_SIZE, (uint32_t)t->initrd_size);
	put_le32(z + ZP_CMDLINE, (uint32_t)LAYOUT_CMDLINE);
	put_le64(z + ZP_RSDP, t->rsdp);
	z[ZP_E820_ENTRIES] = (uint8_t)n;
	for (unsigned int i = 0; i < n; i++)
		put_entry(z + ZP_E820 + (size_t)20 * i, &map[i]);
	return LAYOUT_ZERO_PAGE;
}

/* Xen public/arch-x86/hvm/start_info.h, version 1: the structure, one module, the memory map. */
#define PVH_MAGIC  0x336ec578u
#define PVH_SIZE   56
#define PVH_MODULE 32
#define PVH_ENTRY  24

uint64_t tell_pvh(const struct tell *t)
{
	struct memory_map_entry map[MEMORY_MAP_MAX];
	unsigned int n = memory_map(t->memory, map);
	size_t size = PVH_SIZE + PVH_MODULE + (size_t)PVH_ENTRY * n;
	uint8_t *s = guest_memory_ptr(t->memory, LAYOUT_START_INFO, size, GUEST_WRITE), *e;

	if (!s)
		return 0;
	memset(s, 0, size);
	put_le32(s, PVH_MAGIC);
	put_le32(s + 4, 1);
	if (t->initrd_size) {
		put_le32(s + 12, 1);
		put_le64(s + 16, LAYOUT_START_INFO + PVH_SIZE);
		put_le64(s + PVH_SIZE, t->initrd);
		put_le64(s + PVH_SIZE + 8, t->initrd_size);
	}
	put_le64(s + 24, LAYOUT_CMDLINE);
	put_le64(s + 32, t->rsdp);
	put_le64(s + 40, LAYOUT_START_INFO + PVH_SIZE + PVH_MODULE);
	put_le32(s + 48, n);
	e = s + PVH_SIZE + PVH_MODULE;
	for (unsigned int i = 0; i < n; i++, e += PVH_ENTRY)
		put_entry(e, &map[i]);
	return LAYOUT_START_INFO;
}

/* Multiboot Specification 0.6.96 §3.3: flags, and the fields that they promise. */
#define MB_FLAGS     (1u << 0 | 1u << 2 | 1u << 6 | 1u << 9)
#define MB_F_MODULES (1u << 3)
#define MB_SIZE      116
#define MB_MODULE    16
#define MB_ENTRY     24

uint64_t tell_multiboot(const struct tell *t)
{
	struct memory_map_entry map[MEMORY_MAP_MAX];
	unsigned int n = memory_map(t->memory, map);
	size_t size = MB_SIZE + MB_MODULE + (size_t)MB_ENTRY * n;
	uint8_t *s = guest_memory_ptr(t->memory, LAYOUT_MULTIBOOT, size, GUEST_WRITE), *e;
	static const char name[] = "Kihon";
	uint64_t at = LAYOUT_MULTIBOOT + MB_SIZE;

	if (!s)
		return 0;
	memset(s, 0, size);
	put_le32(s, MB_FLAGS | (t->initrd_size ? MB_F_MODULES : 0));
	put_le32(s + 4, (uint32_t)(LAYOUT_EBDA >> 10));
	put_le32(s + 8, (uint32_t)((t->memory->regions[0].size - LAYOUT_KERNEL_MIN) >> 10));
	put_le32(s + 16, (uint32_t)LAYOUT_CMDLINE);
	if (t->initrd_size) {
		put_le32(s + 20, 1);
		put_le32(s + 24, (uint32_t)at);
		put_le32(s + MB_SIZE, (uint32_t)t->initrd);
		put_le32(s + MB_SIZE + 4, (uint32_t)(t->initrd + t->initrd_size));
		/* Its string is 0: there is none (§3.3, "string"). */
	}
	put_le32(s + 44, MB_ENTRY * n);
	put_le32(s + 48, (uint32_t)at + MB_MODULE);
	e = s + MB_SIZE + MB_MODULE;
	for (unsigned int i = 0; i < n; i++, e += MB_ENTRY) {
		put_le32(e, MB_ENTRY - 4); /* the size does not count itself */
		put_entry(e + 4, &map[i]);
	}
	e = guest_memory_ptr(t->memory, LAYOUT_MULTIBOOT + size, sizeof(name), GUEST_WRITE);
	if (!e)
		return 0;
	memcpy(e, name, sizeof(name));
	put_le32(s + 64, (uint32_t)(LAYOUT_MULTIBOOT + size));
	return LAYOUT_MULTIBOOT;
}
