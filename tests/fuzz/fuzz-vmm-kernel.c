/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-vmm-kernel: any bytes as a kernel, loaded into a small memory. */
#include <stdlib.h>
#include <string.h>

#include "host-shim/vmm/boot/load.h"
#include "host-shim/vmm/layout.h"

#define RAM_SIZE (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t *ram;
	const struct load_config c = {.kernel = {data, size, -1}, .cmdline = "words"};
	struct guest_memory m = {0};
	struct load_entry entry;
	struct kernel_image k;
	struct error err = ERROR_INIT;

	/* Dirty memory on purpose is no matter here: clearing it would be all the work. */
	if (!ram && !(ram = malloc(RAM_SIZE)))
		abort();
	if (guest_memory_add(&m, 0, RAM_SIZE, ram, false, NULL) < 0)
		abort();
	if (kernel_parse(data, size, &k, &err) == 0) {
		if (k.n_segments == 0 || k.begin < LAYOUT_KERNEL_MIN || k.end > LAYOUT_GAP)
			abort();
		for (unsigned int i = 0; i < k.n_segments; i++)
			if (k.segments[i].offset + k.segments[i].file_size > size ||
			    k.segments[i].gpa + k.segments[i].memory_size > k.end)
				abort();
		load_kernel(&m, &c, &entry, &err);
	} else if (err.kind != ERROR_INPUT || !err.text[0]) {
		abort();
	}
	guest_memory_clear(&m);
	return 0;
}
