/* SPDX-License-Identifier: Apache-2.0 */
/* load: puts a kernel, what belongs to it and what it is told into guest memory. */
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "host-shim/vmm/boot/tell.h"
#include "host-shim/vmm/layout.h"
#include "host-shim/vmm/ram.h"
#include "lib/base/fs.h"

#define MIB ((uint64_t)1048576)
/* What Linux takes at its start: below its kernel; beside the list of pages at the top, on either
 * side; a section of memory and its list's entry for a page (include/linux/mmzone.h, x86-64). */
#define START_BELOW     (8 * MIB)
#define START_TOP       (2 * MIB)
#define SECTION         (128 * MIB)
#define PAGE_DESCRIPTOR 64
/* Smaller guests are to stay as small as they are. */
#define START_MEMORY_MIN (64 * MIB)

unsigned int memory_map(const struct guest_memory *m, struct memory_map_entry *out)
{
	unsigned int n = 0;

	out[n++] = (struct memory_map_entry){0, LAYOUT_EBDA, MEMORY_MAP_RAM};
	out[n++] = (struct memory_map_entry){LAYOUT_EBDA, LAYOUT_EBDA_SIZE, MEMORY_MAP_RESERVED};
	out[n++] = (struct memory_map_entry){LAYOUT_BIOS, LAYOUT_BIOS_END - LAYOUT_BIOS,
	                                     MEMORY_MAP_RESERVED};
	for (unsigned int i = 0; i < m->n && n < MEMORY_MAP_MAX; i++) {
		const struct guest_region *r = &m->regions[i];

		if (r->gpa == 0)
			out[n++] = (struct memory_map_entry){
			    LAYOUT_KERNEL_MIN, r->size - LAYOUT_KERNEL_MIN, MEMORY_MAP_RAM};
		else if (r->gpa == LAYOUT_GAP_END && !r->readonly)
			out[n++] = (struct memory_map_entry){r->gpa, r->size, MEMORY_MAP_RAM};
	}
	return n;
}

/* Whole pages of the file in place of the memory's; the pages are this machine's own once
 * written to. */
static int map_pages(uint8_t *to, const struct load_file *f, uint64_t offset, uint64_t size,
                     struct error *err)
{
	if (mmap(to, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, f->fd,
	         (off_t)offset) == MAP_FAILED)
		return error_errno(err, errno, "mapping it into guest memory");
	return 0;
}

/* Reading takes no page faults of the file's mapping, and finds a file that was cut meanwhile. */
static int copy(uint8_t *to, const struct load_file *f, uint64_t offset, uint64_t size,
                struct error *err)
{
	int r;

	if (f->fd < 0) {
		memcpy(to, f->data + offset, size);
		return 0;
	}
	r = fs_pread_all(f->fd, to, size, offset);
	return r < 0 ? error_errno(err, -r, "cannot be read into guest memory") : 0;
}

static int place(const struct guest_memory *m, const struct load_file *f, bool map, uint64_t gpa,
                 uint64_t offset, uint64_t size, struct error *err)
{
	uint8_t *to = size ? guest_memory_ptr(m, gpa, size, GUEST_WRITE) : NULL;
	uint64_t head = -gpa & (LAYOUT_PAGE - 1), whole;
	int r;

	if (size == 0)
		return 0;
	if (!to)
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "does not fit into the guest's memory (it needs up to %" PRIu64
		    " MiB): give it more",
		    (gpa + size + (1u << 20) - 1) >> 20);
	if (!map || f->fd < 0 || (gpa ^ offset) & (LAYOUT_PAGE - 1) || size < head + LAYOUT_PAGE)
		return copy(to, f, offset, size, err);
	whole = (size - head) & ~(LAYOUT_PAGE - 1);
	memcpy(to, f->data + offset, head);
	memcpy(to + head + whole, f->data + offset + head + whole, size - head - whole);
	r = map_pages(to + head, f, offset + head, whole, err);
	return r;
}

/* Where Linux takes its first pages, nearly each of them (docs/vmm.md has the figures): below its
 * kernel, and at the top, where the list of all pages is, which come in sections, then what is
 * allocated before there is a page allocator. In huge pages that is a dozen faults, not thousands.
 */
static void hint_start(const struct guest_memory *m, const struct kernel_image *k)
{
	const struct guest_region *top = &m->regions[m->n - 1];
	uint64_t below = k->begin < START_BELOW ? k->begin : START_BELOW, all = 0, list;
	uint8_t *at = guest_memory_ptr(m, k->begin - below, below, GUEST_WRITE);

	for (unsigned int i = 0; i < m->n; i++)
		all += m->regions[i].size;
	if (all < START_MEMORY_MIN)
		return;
	list = (all + SECTION - 1) / SECTION * (SECTION / LAYOUT_PAGE * PAGE_DESCRIPTOR);
	if (at)
		ram_hint_huge_pages(at, below);
	if (top->size > list + 2 * START_TOP)
		ram_hint_huge_pages(top->host + top->size - list - 2 * START_TOP, list + START_TOP);
}

static int place_kernel(const struct guest_memory *m, const struct load_config *c,
                        const struct kernel_image *k, struct error *err)
{
	uint8_t *at = guest_memory_ptr(m, k->begin, k->end - k->begin, GUEST_WRITE);
	bool map;

	if (!at)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "does not fit into the guest's memory (it needs %" PRIu64
		                      " MiB to start): give it more",
		                      (k->end + (1u << 20) - 1) >> 20);
	/* Linux writes to most pages of its code at its start (alternatives, return thunks): mapped
	 * pages would be copied one by one, with two faults each. */
	if (c->map)
		hint_start(m, k);
	map = c->map && !ram_ask_huge_pages(at, k->end - k->begin);
	for (unsigned int i = 0; i < k->n_segments; i++) {
		const struct kernel_segment *s = &k->segments[i];
		int r = place(m, &c->kernel, map, s->gpa, s->offset, s->file_size, err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* As high as kernels look for it, on a page. */
static int place_initrd(const struct guest_memory *m, const struct load_config *c,
                        const struct kernel_image *k, struct tell *t, struct error *err)
{
	uint64_t top = m->regions[0].size, size = c->initrd.size;

	if (size == 0)
		return 0;
	if (top > k->initrd_max + 1)
		top = k->initrd_max + 1;
	if (size > top || ((top - size) & ~(LAYOUT_PAGE - 1)) < k->end)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "and an initial ramdisk of %" PRIu64
		                      " MiB do not fit into the guest's memory: give it more",
		                      (size + (1u << 20) - 1) >> 20);
	t->initrd = (top - size) & ~(LAYOUT_PAGE - 1);
	t->initrd_size = size;
	return place(m, &c->initrd, c->map, t->initrd, 0, size, err);
}

static int place_cmdline(const struct tell *t, const char *name, struct error *err)
{
	size_t head = name ? strlen(name) + 1 : 0;
	uint64_t size = head + strlen(t->cmdline), max = t->kernel->cmdline_max;
	uint8_t *to;

	if (max > LAYOUT_CMDLINE_MAX - 1)
		max = LAYOUT_CMDLINE_MAX - 1;
	if (size > max)
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "takes a command line of at most %" PRIu64 " bytes, not %" PRIu64, max, size);
	to = guest_memory_ptr(t->memory, LAYOUT_CMDLINE, size + 1, GUEST_WRITE);
	if (!to)
		return error_set(err, EINVAL, "has no memory for its command line");
	if (head) {
		memcpy(to, name, head - 1);
		to[head - 1] = ' ';
	}
	memcpy(to + head, t->cmdline, size - head + 1);
	return 0;
}

/* The first word of its command line; NULL: none. */
static const char *first_word(const struct load_config *c, const struct kernel_image *k)
{
	const char *slash = c->name ? strrchr(c->name, '/') : NULL;

	if (k->entry != KERNEL_ENTRY_MULTIBOOT)
		return NULL;
	return slash ? slash + 1 : c->name;
}

/* Who tells, and the register that holds the address. */
static const struct {
	uint64_t (*tell)(const struct tell *t);
	uint64_t rax;
	bool in_rsi;
} entries[] = {
    [KERNEL_ENTRY_PVH] = {tell_pvh, 0, false},
    [KERNEL_ENTRY_LONG] = {tell_linux, 0, true},
    [KERNEL_ENTRY_MULTIBOOT] = {tell_multiboot, TELL_MULTIBOOT_MAGIC, false},
};

int load_kernel(const struct guest_memory *m, const struct load_config *c, struct load_entry *out,
                struct error *err)
{
	struct kernel_image k;
	struct tell t = {
	    .memory = m, .kernel = &k, .cmdline = c->cmdline ? c->cmdline : "", .rsdp = c->rsdp};
	uint64_t told;
	int r = kernel_parse(c->kernel.data, c->kernel.size, &k, err);

	if (r == 0)
		r = place_kernel(m, c, &k, err);
	if (r == 0)
		r = place_initrd(m, c, &k, &t, err);
	if (r == 0)
		r = place_cmdline(&t, first_word(c, &k), err);
	if (r < 0)
		return r;
	told = entries[k.entry].tell(&t);
	if (!told)
		return error_set(err, EINVAL, "has no memory for what it is told");
	*out =
	    (struct load_entry){.mode = k.entry, .rip = k.entry_point, .rax = entries[k.entry].rax};
	*(entries[k.entry].in_rsi ? &out->rsi : &out->rbx) = told;
	return 0;
}
