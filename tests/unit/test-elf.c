/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/elf: this very program, the system's libraries, and files made byte by byte. */
#include <elf.h>
#include <fcntl.h>
#include <link.h>

#include "check.h"
#include "lib/base/fs.h"
#include "lib/elf/elf.h"

static struct buffer file;

static void read_file(const char *path)
{
	struct error err = ERROR_INIT;

	buffer_clear(&file);
	check_ok(fs_read_file(AT_FDCWD, path, 256u << 20, &file, &err), &err);
}

static int find(const char *name, bool undefined, void *data)
{
	return undefined && strcmp(name, data) == 0;
}

TEST(this_program)
{
	struct error err = ERROR_INIT;
	struct elf e;
	bool libc = false;

	read_file("/proc/self/exe");
	check_ok(elf_open(&e, file.data, file.size, &err), &err);
	check_str(e.interp, "/lib64/ld-linux-x86-64.so.2");
	check(!elf_is_static(&e));
	check(e.executable);
	for (size_t i = 0; i < e.n_needed; i++)
		libc |= strcmp(e.needed[i], "libc.so.6") == 0;
	check(libc);
	check_int(elf_symbols(&e, find, "memcpy"), 1);
	check_int(elf_symbols(&e, find, "shmget"), 0);
	buffer_free(&file);
}

static int find_libc(struct dl_phdr_info *info, size_t size, void *data)
{
	if (!strstr(info->dlpi_name, "/libc.so.6"))
		return 0;
	read_file(info->dlpi_name);
	return 1;
}

TEST(the_c_library)
{
	struct error err = ERROR_INIT;
	struct elf e;

	if (!dl_iterate_phdr(find_libc, NULL))
		check_skip("this program is not linked with glibc");
	check_ok(elf_open(&e, file.data, file.size, &err), &err);
	check_str(e.soname, "libc.so.6");
	check_str(e.needed[0], "ld-linux-x86-64.so.2");
	/* socket(2) is 41; nothing has the number 999. */
	check(elf_has_syscall(&e, 41));
	check(!elf_has_syscall(&e, 999));
	buffer_free(&file);
}

/* A program of one segment: the headers and some code. */
struct small {
	Elf64_Ehdr h;
	Elf64_Phdr p[3];
	char interp[16];
	uint8_t code[16];
};

static void make_small(struct small *s)
{
	*s = (struct small){0};
	memcpy(s->h.e_ident, ELFMAG, SELFMAG);
	s->h.e_ident[EI_CLASS] = ELFCLASS64;
	s->h.e_ident[EI_DATA] = ELFDATA2LSB;
	s->h.e_type = ET_EXEC;
	s->h.e_machine = EM_X86_64;
	s->h.e_entry = 0x1000;
	s->h.e_phoff = offsetof(struct small, p);
	s->h.e_phentsize = sizeof(Elf64_Phdr);
	s->h.e_phnum = 1;
	s->p[0] = (Elf64_Phdr){
	    .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = sizeof(*s), .p_memsz = 8192};
	strcpy(s->interp, "/lib/ld.so");
	/* PUSH 41, POP RAX, SYSCALL */
	memcpy(s->code, "\x6a\x29\x58\x0f\x05", 5);
}

static void refused(const struct small *s, size_t size, const char *words)
{
	struct error err = ERROR_INIT;
	struct elf e;

	check_int(elf_open(&e, s, size, &err), -EINVAL);
	check_int(err.kind, ERROR_INPUT);
	if (!strstr(err.text, words))
		check_fail(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", err.text, words);
}

TEST(a_small_program)
{
	struct error err = ERROR_INIT;
	struct small s;
	struct elf e;

	make_small(&s);
	check_ok(elf_open(&e, &s, sizeof(s), &err), &err);
	check(elf_is_static(&e));
	check_int(e.memory, 8192);
	check(elf_has_syscall(&e, 41));
	check(!elf_has_syscall(&e, 42));
	s.h.e_phnum = 2;
	s.p[1] = (Elf64_Phdr){
	    .p_type = PT_INTERP, .p_offset = offsetof(struct small, interp), .p_filesz = 11};
	check_ok(elf_open(&e, &s, sizeof(s), &err), &err);
	check_str(e.interp, "/lib/ld.so");
	s.p[1].p_filesz = 10;
	refused(&s, sizeof(s), "PT_INTERP");
}

TEST(others_are_told_apart)
{
	struct small s;

	make_small(&s);
	for (size_t n = 0; n < sizeof(s); n++)
		refused(&s, n, n < 4 ? "no ELF file" : "cut short");
	s.h.e_machine = EM_AARCH64;
	refused(&s, sizeof(s), "is for arm64");
	s.h.e_machine = EM_386;
	s.h.e_ident[EI_CLASS] = ELFCLASS32;
	refused(&s, sizeof(s), "is for 32-bit x86");
	s.h.e_machine = EM_X86_64;
	refused(&s, sizeof(s), "x32");
	make_small(&s);
	s.h.e_ident[EI_DATA] = ELFDATA2MSB;
	refused(&s, sizeof(s), "big-endian");
	make_small(&s);
	s.h.e_type = ET_REL;
	refused(&s, sizeof(s), "object file");
	s.h.e_type = ET_CORE;
	refused(&s, sizeof(s), "neither a program");
	make_small(&s);
	s.h.e_phnum = 0xffff;
	refused(&s, sizeof(s), "program headers");
	make_small(&s);
	s.p[0].p_offset = UINT64_MAX;
	refused(&s, sizeof(s), "cut short");
	make_small(&s);
	s.p[0].p_memsz = 1;
	refused(&s, sizeof(s), "impossible size");
	make_small(&s);
	s.p[0].p_type = PT_NOTE;
	refused(&s, sizeof(s), "nothing to load");
}

TEST(a_dynamic_section_that_is_broken)
{
	struct {
		struct small s;
		Elf64_Dyn d[4];
		char strings[16];
	} f;
	struct error err = ERROR_INIT;
	struct elf e;

	memset(&f, 0, sizeof(f));
	make_small(&f.s);
	f.s.h.e_phnum = 2;
	f.s.p[0].p_filesz = sizeof(f);
	f.s.p[1] = (Elf64_Phdr){.p_type = PT_DYNAMIC,
	                        .p_offset = (size_t)((char *)f.d - (char *)&f),
	                        .p_filesz = sizeof(f.d)};
	strcpy(f.strings, "?libx.so");
	f.d[0] = (Elf64_Dyn){.d_tag = DT_NEEDED, .d_un.d_val = 1};
	f.d[1] =
	    (Elf64_Dyn){.d_tag = DT_STRTAB, .d_un.d_ptr = (size_t)((char *)f.strings - (char *)&f)};
	f.d[2] = (Elf64_Dyn){.d_tag = DT_STRSZ, .d_un.d_val = sizeof(f.strings)};
	check_ok(elf_open(&e, &f, sizeof(f), &err), &err);
	check_int(e.n_needed, 1);
	check_str(e.needed[0], "libx.so");
	f.d[2].d_un.d_val = 5;
	check_int(elf_open(&e, &f, sizeof(f), &err), -EINVAL);
	f.d[2].d_un.d_val = sizeof(f.strings);
	f.d[1].d_un.d_ptr = 1 << 20;
	check_int(elf_open(&e, &f, sizeof(f), &err), -EINVAL);
	f.s.p[1].p_offset = sizeof(f);
	check_int(elf_open(&e, &f, sizeof(f), &err), -EINVAL);
}

TEST_MAIN()
