/* SPDX-License-Identifier: Apache-2.0 */
/* elf: headers, the dynamic section, symbol tables; offsets are checked where they are used. */
#include "lib/elf/elf.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/bytes.h"

/* How far before SYSCALL its number is loaded, at most (bytes): there may be six arguments, each
 * moved from memory, between. */
#define SYSCALL_WINDOW 64
/* Linkers make a dozen; a file that names the same bytes a thousand times is not worth the time. */
#define PHDRS_MAX  128
#define STRING_MAX 4096u

static int wrong(struct error *err, const char *what)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "%s", what);
}

bool elf_is(const void *data, size_t size)
{
	return size >= SELFMAG && memcmp(data, ELFMAG, SELFMAG) == 0;
}

/* n entries of `each` bytes at `offset`, or NULL when they are not all there. */
static const uint8_t *table(const struct elf *e, uint64_t offset, uint64_t n, uint64_t each)
{
	uint64_t bytes, end;

	if (__builtin_mul_overflow(n, each, &bytes) ||
	    __builtin_add_overflow(offset, bytes, &end) || end > e->size)
		return NULL;
	return e->data + offset;
}

/* The string at `offset` of a table, or NULL when it does not end inside or is very long. */
static const char *string(const uint8_t *strings, uint64_t size, uint64_t offset)
{
	uint64_t left = strings && offset < size ? size - offset : 0;

	if (left == 0 || !memchr(strings + offset, 0, left < STRING_MAX ? left : STRING_MAX))
		return NULL;
	return (const char *)strings + offset;
}

/* ---- headers: entries are copied out, for they need not be aligned */

static Elf64_Phdr phdr_at(const struct elf *e, size_t i)
{
	Elf64_Phdr p;

	memcpy(&p, e->phdrs + i * sizeof(p), sizeof(p));
	return p;
}

static Elf64_Shdr shdr_at(const struct elf *e, size_t i)
{
	Elf64_Shdr s;

	memcpy(&s, e->shdrs + i * sizeof(s), sizeof(s));
	return s;
}

/* Names of the machines that are met most often among images for others. */
static const char *machine_name(uint16_t machine)
{
	static const struct {
		uint16_t machine;
		const char *name;
	} names[] = {
	    {EM_386, "32-bit x86"}, {EM_AARCH64, "arm64"},      {EM_ARM, "32-bit Arm"},
	    {EM_RISCV, "RISC-V"},   {EM_PPC64, "64-bit POWER"}, {EM_S390, "s390x"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].machine == machine)
			return names[i].name;
	return "another processor";
}

static int check_ident(const Elf64_Ehdr *h, struct error *err)
{
	if (h->e_ident[EI_CLASS] == ELFCLASS64 && h->e_ident[EI_DATA] == ELFDATA2LSB &&
	    h->e_machine == EM_X86_64)
		return 0;
	/* x32 is x86-64 with 32-bit headers. */
	if (h->e_ident[EI_DATA] == ELFDATA2LSB && h->e_machine == EM_X86_64)
		return wrong(err, "is an x32 program; the guest runs 64-bit x86-64 programs only");
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "is for %s; the guest runs 64-bit x86-64 programs only",
	                      h->e_ident[EI_DATA] == ELFDATA2MSB ? "a big-endian processor"
	                                                         : machine_name(h->e_machine));
}

static int read_header(struct elf *e, Elf64_Ehdr *h, struct error *err)
{
	int r;

	if (!elf_is(e->data, e->size))
		return wrong(err, "is no ELF file");
	memset(h, 0, sizeof(*h));
	memcpy(h, e->data, e->size < sizeof(*h) ? e->size : sizeof(*h));
	if (e->size < EI_NIDENT + 4)
		return wrong(err, "ends within the ELF header: the file is cut short");
	r = check_ident(h, err);
	if (r < 0)
		return r;
	if (e->size < sizeof(*h))
		return wrong(err, "ends within the ELF header: the file is cut short");
	if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
		return wrong(err, h->e_type == ET_REL
		                      ? "is an object file, not a program: link it first"
		                      : "is neither a program nor a shared library");
	return 0;
}

static int find_tables(struct elf *e, const Elf64_Ehdr *h, struct error *err)
{
	if (h->e_phnum == 0 || h->e_phnum > PHDRS_MAX || h->e_phentsize != sizeof(Elf64_Phdr))
		return wrong(err, "has no program headers that can be read");
	e->n_phdrs = h->e_phnum;
	e->phdrs = table(e, h->e_phoff, h->e_phnum, sizeof(Elf64_Phdr));
	if (!e->phdrs)
		return wrong(err, "ends before its program headers: the file is cut short");
	/* Sections are for symbols only; strip may have taken them. */
	if (h->e_shnum > 0 && h->e_shentsize == sizeof(Elf64_Shdr))
		e->shdrs = table(e, h->e_shoff, h->e_shnum, sizeof(Elf64_Shdr));
	e->n_shdrs = e->shdrs ? h->e_shnum : 0;
	e->executable = h->e_entry != 0;
	return 0;
}

/* ---- segments */

static int read_interp(struct elf *e, const Elf64_Phdr *p, struct error *err)
{
	const uint8_t *at = table(e, p->p_offset, p->p_filesz, 1);

	e->interp = at ? string(at, p->p_filesz, 0) : NULL;
	if (!e->interp || !*e->interp)
		return wrong(err, "does not say properly which program loads it (PT_INTERP)");
	return 0;
}

static int add_load(struct elf *e, const Elf64_Phdr *p, struct error *err)
{
	uint64_t end;

	if (p->p_filesz > p->p_memsz || __builtin_add_overflow(p->p_paddr, p->p_memsz, &end) ||
	    __builtin_add_overflow(e->memory, p->p_memsz, &e->memory))
		return wrong(err, "has a segment of an impossible size");
	if (!table(e, p->p_offset, p->p_filesz, 1))
		return wrong(err, "ends before its last segment: the file is cut short");
	if (end > e->end)
		e->end = end;
	return 0;
}

/* Where a virtual address of the loaded program lies in the file; *left bytes follow. */
static const uint8_t *at_address(const struct elf *e, uint64_t address, uint64_t *left)
{
	for (size_t i = 0; i < e->n_phdrs; i++) {
		Elf64_Phdr p = phdr_at(e, i);

		if (p.p_type != PT_LOAD || address < p.p_vaddr || address - p.p_vaddr >= p.p_filesz)
			continue;
		*left = p.p_filesz - (address - p.p_vaddr);
		return e->data + p.p_offset + (address - p.p_vaddr);
	}
	*left = 0;
	return NULL;
}

/* ---- the dynamic section */

struct dynamic {
	const uint8_t *entries;
	uint64_t n;
	const uint8_t *strings;
	uint64_t strings_size;
};

static Elf64_Dyn dyn_at(const struct dynamic *d, uint64_t i)
{
	Elf64_Dyn dyn;

	memcpy(&dyn, d->entries + i * sizeof(dyn), sizeof(dyn));
	return dyn;
}

static int find_strings(struct elf *e, struct dynamic *d, struct error *err)
{
	uint64_t address = 0, size = 0, left;
	bool named = false;

	for (uint64_t i = 0; i < d->n; i++) {
		Elf64_Dyn dyn = dyn_at(d, i);

		if (dyn.d_tag == DT_NULL)
			break;
		if (dyn.d_tag == DT_STRTAB)
			address = dyn.d_un.d_ptr;
		if (dyn.d_tag == DT_STRSZ)
			size = dyn.d_un.d_val;
		named |= dyn.d_tag == DT_NEEDED;
	}
	d->strings = at_address(e, address, &left);
	d->strings_size = size < left ? size : left;
	return named && !d->strings ? wrong(err, "has a broken dynamic section") : 0;
}

static int read_dyn(struct elf *e, const struct dynamic *d, const Elf64_Dyn *dyn, struct error *err)
{
	const char *s = string(d->strings, d->strings_size, dyn->d_un.d_val);

	switch (dyn->d_tag) {
	case DT_SONAME:
		e->soname = s;
		break;
	case DT_RPATH:
		e->rpath = s;
		break;
	case DT_RUNPATH:
		e->runpath = s;
		break;
	case DT_NEEDED:
		if (!s || !*s)
			return wrong(err, "has a broken dynamic section");
		if (e->n_needed == ELF_NEEDED_MAX)
			return wrong(err, "needs more than 256 libraries");
		e->needed[e->n_needed++] = s;
		break;
	}
	return 0;
}

static int read_dynamic(struct elf *e, const Elf64_Phdr *p, struct error *err)
{
	struct dynamic d = {.n = p->p_filesz / sizeof(Elf64_Dyn)};
	int r;

	d.entries = table(e, p->p_offset, p->p_filesz, 1);
	if (!d.entries)
		return wrong(err, "ends before its dynamic section: the file is cut short");
	r = find_strings(e, &d, err);
	for (uint64_t i = 0; r == 0 && i < d.n; i++) {
		Elf64_Dyn dyn = dyn_at(&d, i);

		if (dyn.d_tag == DT_NULL)
			break;
		r = read_dyn(e, &d, &dyn, err);
	}
	return r;
}

int elf_open(struct elf *out, const void *data, size_t size, struct error *err)
{
	Elf64_Ehdr h;
	int r;

	*out = (struct elf){.data = data, .size = size};
	r = read_header(out, &h, err);
	if (r == 0)
		r = find_tables(out, &h, err);
	/* Loads first: the dynamic section's addresses are looked up among them. */
	for (size_t i = 0; r == 0 && i < out->n_phdrs; i++) {
		Elf64_Phdr p = phdr_at(out, i);

		if (p.p_type == PT_LOAD)
			r = add_load(out, &p, err);
		else if (p.p_type == PT_INTERP)
			r = read_interp(out, &p, err);
	}
	for (size_t i = 0; r == 0 && i < out->n_phdrs; i++) {
		Elf64_Phdr p = phdr_at(out, i);

		if (p.p_type == PT_DYNAMIC)
			r = read_dynamic(out, &p, err);
	}
	if (r == 0 && out->memory == 0)
		return wrong(err, "has nothing to load");
	return r;
}

/* ---- symbols and system calls */

static int each_symbol(const struct elf *e, const Elf64_Shdr *s, elf_symbol_fn fn, void *data)
{
	uint64_t n = s->sh_size / sizeof(Elf64_Sym);
	const uint8_t *symbols = table(e, s->sh_offset, n, sizeof(Elf64_Sym)), *strings;
	Elf64_Shdr names;
	int r = 0;

	if (!symbols || s->sh_link >= e->n_shdrs)
		return 0;
	names = shdr_at(e, s->sh_link);
	strings = table(e, names.sh_offset, names.sh_size, 1);
	for (uint64_t i = 1; r == 0 && i < n; i++) {
		unsigned char type;
		const char *name;
		Elf64_Sym sym;

		memcpy(&sym, symbols + i * sizeof(sym), sizeof(sym));
		type = ELF64_ST_TYPE(sym.st_info);
		if (type != STT_FUNC && type != STT_OBJECT && type != STT_NOTYPE &&
		    type != STT_GNU_IFUNC)
			continue;
		name = string(strings, names.sh_size, sym.st_name);
		if (name && *name)
			r = fn(name, sym.st_shndx == SHN_UNDEF, data);
	}
	return r;
}

/* One of each type: there are no more in what linkers make. */
static int each_of_type(const struct elf *e, uint32_t type, elf_symbol_fn fn, void *data)
{
	for (size_t i = 0; i < e->n_shdrs; i++) {
		Elf64_Shdr s = shdr_at(e, i);

		if (s.sh_type == type)
			return each_symbol(e, &s, fn, data);
	}
	return 0;
}

int elf_symbols(const struct elf *e, elf_symbol_fn fn, void *data)
{
	int r = each_of_type(e, SHT_SYMTAB, fn, data);

	return r ? r : each_of_type(e, SHT_DYNSYM, fn, data);
}

static bool syscall_follows(const uint8_t *p, size_t size)
{
	static const uint8_t insn[] = {0x0f, 0x05};

	return memmem(p, size < SYSCALL_WINDOW ? size : SYSCALL_WINDOW, insn, sizeof(insn));
}

/* `load` with SYSCALL soon after it. */
static bool segment_has(const uint8_t *p, size_t size, const uint8_t *load, size_t n)
{
	const uint8_t *end = p + size;

	while ((p = memmem(p, (size_t)(end - p), load, n))) {
		p += n;
		if (syscall_follows(p, (size_t)(end - p)))
			return true;
	}
	return false;
}

bool elf_has_syscall(const struct elf *e, uint32_t number)
{
	/* MOV EAX, imm32; PUSH imm8 and POP RAX, as compilers write it for size. */
	uint8_t mov[5] = {0xb8}, push[3] = {0x6a, (uint8_t)number, 0x58};

	put_le32(mov + 1, number);
	for (size_t i = 0; i < e->n_phdrs; i++) {
		Elf64_Phdr p = phdr_at(e, i);
		const uint8_t *at;

		if (p.p_type != PT_LOAD || !(p.p_flags & PF_X))
			continue;
		at = e->data + p.p_offset;
		if (segment_has(at, p.p_filesz, mov, sizeof(mov)) ||
		    (number < 0x80 && segment_has(at, p.p_filesz, push, sizeof(push))))
			return true;
	}
	return false;
}
