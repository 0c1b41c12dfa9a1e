/* SPDX-License-Identifier: Apache-2.0 */
/* kernel: what the file of a guest kernel asks of its loader; bzImage, and what the kinds share. */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host-shim/vmm/layout.h"
#include "lib/base/bytes.h"

/* boot.rst, "The Real-Mode Kernel Header": offsets in the file. */
#define SETUP_SECTS         0x1f1
#define SETUP_SYSSIZE       0x1f4
#define SETUP_BOOT_FLAG     0x1fe
#define SETUP_JUMP_LENGTH   0x201 /* of the jump over the header: where it ends */
#define SETUP_MAGIC         0x202
#define SETUP_VERSION       0x206
#define SETUP_LOADFLAGS     0x211
#define SETUP_INITRD_MAX    0x22c
#define SETUP_RELOCATABLE   0x234
#define SETUP_XLOADFLAGS    0x236
#define SETUP_CMDLINE_SIZE  0x238
#define SETUP_PREF_ADDRESS  0x258
#define SETUP_INIT_SIZE     0x260
#define SETUP_LEAST         0x268 /* the end of these fields */
#define SETUP_ROOM          0x290 /* of the header in struct boot_params */
#define VERSION_64          0x020c
#define LOADED_HIGH         0x01
#define XLF_KERNEL_64       0x01
#define XLF_ABOVE_4G        0x02
#define ENTRY_64            0x200
#define CMDLINE_MAX_DEFAULT 255
#define INITRD_MAX_DEFAULT  0xffffffffull

int kernel_bad(struct error *err, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return error_set_kind(err, ERROR_INPUT, EINVAL, "%s: build or copy it again", text);
}

int kernel_add_segment(struct kernel_image *k, size_t file, const struct kernel_segment *s,
                       struct error *err)
{
	uint64_t end;

	if (s->offset > file || s->file_size > file - s->offset)
		return kernel_bad(err, "is cut short (a segment ends behind its end)");
	if (s->file_size > s->memory_size)
		return kernel_bad(err, "has a segment with more bytes in the file than in memory");
	if (__builtin_add_overflow(s->gpa, s->memory_size, &end) || s->gpa < LAYOUT_KERNEL_MIN ||
	    end > LAYOUT_GAP)
		return kernel_bad(err,
		                  "has a segment of 0x%" PRIx64 " bytes at 0x%" PRIx64
		                  ", outside of 1 MiB to 3 GiB",
		                  s->memory_size, s->gpa);
	if (k->n_segments == KERNEL_SEGMENTS_MAX)
		return kernel_bad(err, "has more than %d segments", KERNEL_SEGMENTS_MAX);
	if (k->n_segments == 0 || s->gpa < k->begin)
		k->begin = s->gpa;
	if (end > k->end)
		k->end = end;
	k->segments[k->n_segments++] = *s;
	return 0;
}

bool kernel_has(const struct kernel_image *k, uint64_t gpa)
{
	for (unsigned int i = 0; i < k->n_segments; i++)
		if (gpa >= k->segments[i].gpa &&
		    gpa - k->segments[i].gpa < k->segments[i].memory_size)
			return true;
	return false;
}

static int check_entry(const struct kernel_image *k, struct error *err)
{
	if (kernel_has(k, k->entry_point))
		return 0;
	return kernel_bad(err, "begins at 0x%" PRIx64 ", which is not loaded", k->entry_point);
}

int kernel_parse_bzimage(const uint8_t *d, size_t size, struct kernel_image *k, struct error *err)
{
	struct kernel_segment s;
	uint64_t init_size, skip;
	int r;

	if (size < SETUP_LEAST || memcmp(d + SETUP_MAGIC, "HdrS", 4) != 0 ||
	    get_le16(d + SETUP_BOOT_FLAG) != 0xaa55)
		return 0;
	if (get_le16(d + SETUP_VERSION) < VERSION_64 || !(d[SETUP_LOADFLAGS] & LOADED_HIGH) ||
	    !(get_le16(d + SETUP_XLOADFLAGS) & XLF_KERNEL_64))
		return kernel_bad(err, "has no 64-bit entry");
	/* No setup sectors means 4, for the sake of old loaders; syssize counts 16 bytes. */
	skip = ((uint64_t)(d[SETUP_SECTS] ?: 4) + 1) * 512;
	s.offset = skip;
	s.file_size = (uint64_t)get_le32(d + SETUP_SYSSIZE) * 16;
	if (skip > size || s.file_size > size - skip)
		return kernel_bad(err, "is cut short (its header tells more)");
	init_size = get_le32(d + SETUP_INIT_SIZE);
	s.gpa = get_le64(d + SETUP_PREF_ADDRESS);
	s.memory_size = init_size > s.file_size ? init_size : s.file_size;
	r = kernel_add_segment(k, size, &s, err);
	if (r < 0)
		return r;
	k->entry = KERNEL_ENTRY_LONG;
	if (s.file_size <= ENTRY_64)
		return kernel_bad(err, "is cut short (it ends before its entry)");
	k->entry_point = s.gpa + ENTRY_64;
	k->setup = d + SETUP_SECTS;
	k->setup_size = 0x202u + d[SETUP_JUMP_LENGTH] - SETUP_SECTS;
	if (k->setup_size > SETUP_ROOM - SETUP_SECTS)
		k->setup_size = SETUP_ROOM - SETUP_SECTS;
	if (k->setup_size > size - SETUP_SECTS)
		return kernel_bad(err, "is cut short (within its header)");
	k->cmdline_max = get_le32(d + SETUP_CMDLINE_SIZE) ?: CMDLINE_MAX_DEFAULT;
	k->initrd_max = get_le16(d + SETUP_XLOADFLAGS) & XLF_ABOVE_4G
	                    ? INITRD_MAX_DEFAULT
	                    : get_le32(d + SETUP_INITRD_MAX);
	return 1;
}

int kernel_parse(const uint8_t *data, size_t size, struct kernel_image *out, struct error *err)
{
	struct kernel_image k = {.cmdline_max = LAYOUT_CMDLINE_MAX - 1,
	                         .initrd_max = INITRD_MAX_DEFAULT};
	int r = kernel_parse_bzimage(data, size, &k, err);

	if (r == 0) {
		r = kernel_parse_elf(data, size, &k, err);
		if (r == 0 || (r > 0 && k.entry != KERNEL_ENTRY_PVH)) {
			int m = kernel_parse_multiboot(data, size, &k, err);

			r = m != 0 ? m : r;
		}
	}
	if (r == 0)
		return error_set_kind(err, ERROR_INPUT, ENOEXEC,
		                      "is none that can be booted: ELF with a PVH or 64-bit entry, "
		                      "a 64-bit bzImage, or multiboot");
	r = r < 0 ? r : check_entry(&k, err);
	if (r < 0)
		return r;
	*out = k;
	return 0;
}
