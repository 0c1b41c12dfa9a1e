/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-elf: any bytes as a program. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/elf/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t total;

static int count(const char *name, bool undefined, void *data)
{
	total += strlen(name) + undefined;
	return 0;
}

static void inside(const struct elf *e, const char *s)
{
	const char *begin = (const char *)e->data;

	if (!s)
		return;
	if (s < begin || s + strlen(s) >= begin + e->size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	struct elf e;

	if (elf_open(&e, data, size, &err) < 0) {
		if (err.kind != ERROR_INPUT || !err.text[0])
			abort();
		return 0;
	}
	inside(&e, e.interp);
	inside(&e, e.soname);
	inside(&e, e.rpath);
	inside(&e, e.runpath);
	for (size_t i = 0; i < e.n_needed; i++)
		inside(&e, e.needed[i]);
	elf_symbols(&e, count, NULL);
	total += elf_has_syscall(&e, 41) + elf_has_syscall(&e, 425);
	return 0;
}
