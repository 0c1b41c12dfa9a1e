/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relro: makes PT_GNU_RELRO read-only in a static-PIE; linked into every guest program.
 *
 * In a dynamic program that is the loader's work. A static-PIE relocates itself (rcrt1.o), and
 * musl 1.2.3 leaves the relocated tables (function pointers, the GOT) writable after that.
 */
#include <elf.h>
#include <stdint.h>
#include <sys/mman.h>

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

/* Before any other constructor: 101 is the first that is not the implementation's. */
__attribute__((constructor(101))) static void relro_protect(void)
{
	const uintptr_t base = (uintptr_t)&__ehdr_start, page = 4096;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(base + __ehdr_start.e_phoff);

	for (int i = 0; i < __ehdr_start.e_phnum; i++) {
		uintptr_t start, end;

		if (ph[i].p_type != PT_GNU_RELRO)
			continue;
		start = (base + ph[i].p_vaddr) & ~(page - 1);
		end = (base + ph[i].p_vaddr + ph[i].p_memsz) & ~(page - 1);
		/* A failure leaves things as they would be without us. */
		if (end > start)
			mprotect((void *)start, end - start, PROT_READ);
	}
}
