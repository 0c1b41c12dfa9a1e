/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_elf: kernels that are ELF files (System V gABI, chapters 4 and 5), of 64 or 32 bits. */
#include <elf.h>
#include <stdbool.h>
#include <errno.h>
#include <string.h>

#include "host-shim/vmm/boot/kernel.h"
#include "lib/base/bytes.h"

#define PHNUM_MAX 128
/* The note that names the 32-bit entry, Xen public/elfnote.h. */
#define XEN_ELFNOTE_PHYS32_ENTRY 18

struct headers {
	uint64_t entry, phoff;
	unsigned int phnum, phentsize;
	bool wide; /* 64 bits */
};

struct program_header {
	uint32_t type;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

/* 1, 0 for no ELF file of x86, negative when it is cut. */
static int read_header(const uint8_t *d, size_t size, struct headers *h, struct error *err)
{
	if (size < EI_NIDENT || memcmp(d, ELFMAG, SELFMAG) != 0)
		return 0;
	h->wide = d[EI_CLASS] == ELFCLASS64;
	if (size < (h->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)))
		return kernel_bad(err, "is cut short (within the ELF header)");
	if ((d[EI_CLASS] != ELFCLASS64 && d[EI_CLASS] != ELFCLASS32) || d[EI_DATA] != ELFDATA2LSB ||
	    get_le16(d + 18) != (h->wide ? EM_X86_64 : EM_386))
		return kernel_bad(err, "is no ELF file of x86-64");
	h->entry = h->wide ? get_le64(d + 24) : get_le32(d + 24);
	h->phoff = h->wide ? get_le64(d + 32) : get_le32(d + 28);
	h->phentsize = get_le16(d + (h->wide ? 54 : 42));
	h->phnum = get_le16(d + (h->wide ? 56 : 44));
	if (h->phentsize != (h->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) ||
	    h->phoff > size || (uint64_t)h->phnum * h->phentsize > size - h->phoff)
		return kernel_bad(err, "is cut short (the program headers are not in it)");
	if (h->phnum > PHNUM_MAX)
		return kernel_bad(err, "has %u program headers", h->phnum);
	return 1;
}

static struct program_header read_program_header(const uint8_t *d, const struct headers *h,
                                                 unsigned int i)
{
	const uint8_t *p = d + h->phoff + (size_t)i * h->phentsize;

	if (h->wide)
		return (struct program_header){get_le32(p),      get_le64(p + 8),  get_le64(p + 16),
		                               get_le64(p + 24), get_le64(p + 32), get_le64(p + 40),
		                               get_le64(p + 48)};
	return (struct program_header){get_le32(p),      get_le32(p + 4),  get_le32(p + 8),
	                               get_le32(p + 12), get_le32(p + 16), get_le32(p + 20),
	                               get_le32(p + 28)};
}

/* Looks through the notes of a segment for the PVH entry. */
static void look_for_pvh(const uint8_t *notes, size_t size, uint64_t align, struct kernel_image *k)
{
	struct reader r = reader_init(notes, size);

	align = align == 8 ? 8 : 4;
	while (!r.failed && reader_left(&r) >= 12) {
		uint32_t namesz = reader_le32(&r), descsz = reader_le32(&r), type = reader_le32(&r);
		uint64_t name_room = (namesz + align - 1) & ~(align - 1);
		uint64_t desc_room = (descsz + align - 1) & ~(align - 1);
		const uint8_t *name = reader_bytes(&r, name_room), *desc;

		if (!name)
			return;
		desc = reader_bytes(&r, desc_room < reader_left(&r) ? desc_room : descsz);
		if (!desc || type != XEN_ELFNOTE_PHYS32_ENTRY || namesz != 4 ||
		    memcmp(name, "Xen", 4) != 0 || (descsz != 4 && descsz != 8))
			continue;
		k->entry = KERNEL_ENTRY_PVH;
		k->entry_point = descsz == 8 ? get_le64(desc) : get_le32(desc);
		return;
	}
}

int kernel_parse_elf(const uint8_t *d, size_t size, struct kernel_image *k, struct error *err)
{
	struct headers h = {0};
	uint64_t behind_entry = 0; /* guest-physical, when the entry is a virtual address */
	int r = read_header(d, size, &h, err);

	if (r <= 0)
		return r;
	/* A 32-bit file is none that we can enter, unless it tells another entry. */
	k->entry = KERNEL_ENTRY_LONG;
	k->entry_point = h.entry;
	for (unsigned int i = 0; i < h.phnum; i++) {
		struct program_header p = read_program_header(d, &h, i);

		if (p.offset > size || p.filesz > size - p.offset)
			return kernel_bad(err, "is cut short (a segment ends behind its end)");
		if (p.type == PT_NOTE)
			look_for_pvh(d + p.offset, (size_t)p.filesz, p.align, k);
		if (p.type != PT_LOAD || (p.memsz == 0 && p.filesz == 0))
			continue;
		r = kernel_add_segment(
		    k, size, &(struct kernel_segment){p.offset, p.filesz, p.paddr, p.memsz}, err);
		if (r < 0)
			return r;
		if (h.entry - p.vaddr < p.memsz)
			behind_entry = h.entry - p.vaddr + p.paddr;
	}
	if (k->n_segments == 0)
		return kernel_bad(err, "has no segment to load");
	/* gABI: e_entry is virtual. Linux's is physical, and wins; kernels linked high get theirs
	 * translated, as by GRUB and QEMU. */
	if (k->entry != KERNEL_ENTRY_PVH && !kernel_has(k, h.entry))
		k->entry_point = behind_entry ? behind_entry : h.entry;
	return h.wide || k->entry == KERNEL_ENTRY_PVH ? 1 : 0;
}
