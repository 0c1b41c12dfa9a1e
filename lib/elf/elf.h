/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf: looks into a program or shared library for x86-64 Linux that somebody else made: what
 * loads it, what it is linked with, what it asks of the kernel (System V ABI, "Object Files";
 * ELF-64 and the AMD64 supplement).
 *
 * Everything is bounded by the bytes given. Strings point into them, so they must stay. Errors
 * are -EINVAL of kind ERROR_INPUT and one line without the file's name: callers put it before.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define ELF_NEEDED_MAX 256

struct elf {
	const uint8_t *data;
	size_t size;
	const char *interp; /* of PT_INTERP, NULL: none */
	const char *soname; /* NULL: not said, as are the next two */
	const char *rpath;
	const char *runpath;
	const char *needed[ELF_NEEDED_MAX]; /* DT_NEEDED, in order */
	size_t n_needed;
	bool executable; /* it has an entry point */
	uint64_t memory; /* bytes that its segments take once loaded */
	uint64_t end;    /* last physical address of its segments: of use for kernels */
	/* Private: tables of the program and section headers. */
	const uint8_t *phdrs, *shdrs;
	uint16_t n_phdrs, n_shdrs;
};

/* The bytes begin as an ELF file does. */
bool elf_is(const void *data, size_t size);

/* Programs, shared libraries and kernels for x86-64. */
int elf_open(struct elf *out, const void *data, size_t size, struct error *err);

/* It can be executed with nothing else at hand. */
static inline bool elf_is_static(const struct elf *e)
{
	return !e->interp && e->n_needed == 0;
}

/*
 * Calls fn for each named function or object in the symbol tables: `undefined` ones are taken from
 * shared libraries. A table that is broken counts as none. Non-zero ends it and is returned.
 */
typedef int (*elf_symbol_fn)(const char *name, bool undefined, void *data);
int elf_symbols(const struct elf *e, elf_symbol_fn fn, void *data);

/*
 * Whether the program's code loads `number` (below 2^31) into EAX a few instructions before
 * SYSCALL: for programs without a symbol table. Data that looks like code may count, too.
 */
bool elf_has_syscall(const struct elf *e, uint32_t number);
