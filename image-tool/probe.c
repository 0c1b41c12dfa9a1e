/* SPDX-License-Identifier: Apache-2.0 */
/* probe: looks at magic numbers, and into kernels for their version. */
#include "image-tool/probe.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/cpio/unpack.h"

#define HEAD_SIZE 8192u

/* The first that fits: what has more than one magic number comes before what has fewer. */
static const struct magic {
	enum probe_type type;
	size_t offset;
	const char *bytes;
	size_t size;
} magics[] = {
    {PROBE_EROFS, 1024, "\xe2\xe1\xf5\xe0", 4},
    {PROBE_EXT4, 1080, "\x53\xef", 2},
    {PROBE_KATA, 4096, "NVDIMM_PFN_INFO", 16},
    {PROBE_ELF, 0,
     "\x7f"
     "ELF",
     4},
    {PROBE_BZIMAGE, 0x202, "HdrS", 4},
    {PROBE_GPT, 512, "EFI PART", 8},
    {PROBE_VERITY, 0, "verity\0\0", 8},
    {PROBE_DISK, 510, "\x55\xaa", 2},
};

static const char *const names[] = {
    [PROBE_UNKNOWN] = "unknown", [PROBE_EROFS] = "erofs",   [PROBE_EXT4] = "ext4",
    [PROBE_INITRD] = "initrd",   [PROBE_KATA] = "kata",     [PROBE_DISK] = "disk",
    [PROBE_GPT] = "gpt",         [PROBE_VERITY] = "verity", [PROBE_ELF] = "elf",
    [PROBE_BZIMAGE] = "bzImage",
};

const char *probe_name(enum probe_type type)
{
	return names[type];
}

int probe_place(const struct place *place, enum probe_type *out, struct error *err)
{
	uint8_t head[HEAD_SIZE] = {0};
	size_t n = place->size < sizeof(head) ? (size_t)place->size : sizeof(head);
	int r = fs_pread_all(place->fd, head, n, place->offset);

	*out = PROBE_UNKNOWN;
	if (r < 0)
		return error_errno(err, r == -ENODATA ? EIO : -r, "cannot read its first bytes");
	if (unpack_method(head, n))
		*out = PROBE_INITRD;
	for (size_t i = 0; *out == PROBE_UNKNOWN && i < sizeof(magics) / sizeof(*magics); i++) {
		const struct magic *m = &magics[i];

		if (m->offset + m->size <= n && memcmp(head + m->offset, m->bytes, m->size) == 0)
			*out = m->type;
	}
	return 0;
}

/* Pages are mapped from the page that the range begins in. */
static uint64_t page_part(const struct place *place)
{
	return place->offset % (uint64_t)sysconf(_SC_PAGESIZE);
}

int place_map(const struct place *place, const uint8_t **data, struct error *err)
{
	uint64_t part = page_part(place);
	void *map;

	*data = NULL;
	if (place->size == 0)
		return 0;
	map = mmap(NULL, place->size + part, PROT_READ, MAP_SHARED, place->fd,
	           (off_t)(place->offset - part));
	if (map == MAP_FAILED)
		return error_errno(err, errno, "cannot map the file");
	*data = (const uint8_t *)map + part;
	return 0;
}

void place_unmap(const struct place *place, const uint8_t *data)
{
	uint64_t part = page_part(place);

	if (data)
		munmap((void *)(data - part), place->size + part);
}

/* ---------------------------------------------------------------- kernels */

/* A version begins with a digit and ends at a blank. */
static bool take_version(const uint8_t *p, size_t n, struct kernel_image *out)
{
	size_t len = 0;

	while (len < n && len < sizeof(out->version) && p[len] > ' ' && p[len] < 0x7f)
		len++;
	if (len == 0 || len == n || len == sizeof(out->version) || p[0] < '0' || p[0] > '9')
		return false;
	memcpy(out->version, p, len);
	out->version[len] = 0;
	return true;
}

static void find_banner(const uint8_t *data, size_t size, struct kernel_image *out)
{
	static const char banner[] = "Linux version ";
	const uint8_t *at = data;

	while ((at = memmem(at, size - (size_t)(at - data), banner, sizeof(banner) - 1))) {
		at += sizeof(banner) - 1;
		if (take_version(at, size - (size_t)(at - data), out))
			return;
	}
}

/* Documentation/arch/x86/boot.rst: 0x20e holds where the version's text is, less 512. */
static void read_bzimage(const uint8_t *data, size_t size, struct kernel_image *out)
{
	size_t at = size >= 0x210 ? get_le16(data + 0x20e) + (size_t)0x200 : size;

	if (at > 0x200 && at < size)
		take_version(data + at, size - at, out);
}

/* Note 18 of "Xen" holds the entry of PVH (xen/include/public/elfnote.h). */
static uint64_t find_pvh(const uint8_t *notes, size_t size)
{
	struct reader r = reader_init(notes, size);

	while (reader_left(&r) >= 12 && !r.failed) {
		uint32_t name_size = reader_le32(&r), desc_size = reader_le32(&r);
		uint32_t type = reader_le32(&r);
		const uint8_t *name, *desc;

		if (name_size > size || desc_size > size)
			break;
		name = reader_bytes(&r, (name_size + 3) & ~3u);
		desc = reader_bytes(&r, (desc_size + 3) & ~3u);
		if (!name || !desc)
			break;
		if (type == 18 && name_size == 4 && memcmp(name, "Xen", 4) == 0)
			return desc_size >= 8   ? get_le64(desc)
			       : desc_size >= 4 ? get_le32(desc)
			                        : 0;
	}
	return 0;
}

static void read_elf(const uint8_t *data, size_t size, struct kernel_image *out)
{
	Elf64_Ehdr e;
	Elf64_Phdr p;

	if (size < sizeof(e))
		return;
	memcpy(&e, data, sizeof(e));
	if (e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_phentsize != sizeof(p) || e.e_phoff > size)
		return;
	for (size_t i = 0; i < e.e_phnum && !out->pvh_entry; i++) {
		if ((size - e.e_phoff) / sizeof(p) <= i)
			return;
		memcpy(&p, data + e.e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_NOTE && p.p_offset <= size && p.p_filesz <= size - p.p_offset)
			out->pvh_entry = find_pvh(data + p.p_offset, p.p_filesz);
	}
}

int kernel_image_read(const struct place *place, struct kernel_image *out, struct error *err)
{
	enum probe_type type = PROBE_UNKNOWN;
	const uint8_t *data = NULL;
	int r = probe_place(place, &type, err);

	*out = (struct kernel_image){0};
	if (r == 0)
		r = place_map(place, &data, err);
	if (r < 0)
		return r;
	if (type == PROBE_BZIMAGE)
		read_bzimage(data, place->size, out);
	else if (data)
		find_banner(data, place->size, out);
	if (type == PROBE_ELF)
		read_elf(data, place->size, out);
	place_unmap(place, data);
	return out->version[0]
	           ? 0
	           : error_set_kind(err, ERROR_INPUT, EINVAL,
	                            "it does not say its version: it is no Linux kernel");
}
