/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_multiboot: kernels with a multiboot-1 header (Multiboot Specification 0.6.96 §3.1). */
#include "host-shim/vmm/boot/kernel.h"
#include "lib/base/bytes.h"

#define SEARCH       8192
#define HEADER_MAGIC 0x1badb002u
#define HEADER_SIZE  32
#define FLAG_ADDRESS (1u << 16)
/* Modules on page borders, and memory information: both are given. */
#define FLAGS_KNOWN (FLAG_ADDRESS | 3u)
#define FLAGS_MUST  0xffffu

/* The offset of the header, or `size`. */
static size_t find_header(const uint8_t *d, size_t size)
{
	for (size_t at = 0; at + 12 <= size && at + 12 <= SEARCH; at += 4)
		if (get_le32(d + at) == HEADER_MAGIC &&
		    HEADER_MAGIC + get_le32(d + at + 4) + get_le32(d + at + 8) == 0)
			return at;
	return size;
}

/* §3.1.3: the file says itself where it goes. */
static int load_by_address(const uint8_t *d, size_t size, size_t at, struct kernel_image *k,
                           struct error *err)
{
	uint32_t header, load, load_end, bss_end;
	struct kernel_segment s;
	int r;

	if (size - at < HEADER_SIZE)
		return kernel_bad(err, "is cut short (within its multiboot header)");
	header = get_le32(d + at + 12);
	load = get_le32(d + at + 16);
	load_end = get_le32(d + at + 20);
	bss_end = get_le32(d + at + 24);
	if (load > header || header - load > at)
		return kernel_bad(err, "has a multiboot header that begins before the file");
	s.gpa = load;
	s.offset = at - (header - load);
	if (load_end && load_end < load)
		return kernel_bad(err, "has a multiboot header that ends before it begins");
	if (bss_end && bss_end < (load_end ? load_end : load))
		return kernel_bad(err, "has a multiboot header whose bss ends before its data");
	s.file_size = load_end ? load_end - load : size - s.offset;
	s.memory_size =
	    bss_end > load && bss_end - load > s.file_size ? bss_end - load : s.file_size;
	*k = (struct kernel_image){.cmdline_max = k->cmdline_max, .initrd_max = k->initrd_max};
	r = kernel_add_segment(k, size, &s, err);
	k->entry_point = get_le32(d + at + 28);
	return r;
}

int kernel_parse_multiboot(const uint8_t *d, size_t size, struct kernel_image *k, struct error *err)
{
	size_t at = find_header(d, size);
	uint32_t flags;
	int r = 0;

	if (at == size)
		return 0;
	flags = get_le32(d + at + 4);
	if (flags & FLAGS_MUST & ~FLAGS_KNOWN)
		return kernel_bad(err, "asks for multiboot features 0x%x, which are not there",
		                  flags & FLAGS_MUST & ~FLAGS_KNOWN);
	if (flags & FLAG_ADDRESS)
		r = load_by_address(d, size, at, k, err);
	else if (k->n_segments == 0)
		r = kernel_bad(err, "has a multiboot header without addresses and is no ELF file");
	k->entry = KERNEL_ENTRY_MULTIBOOT;
	return r < 0 ? r : 1;
}
