/* SPDX-License-Identifier: Apache-2.0 */
/* linux_image: the setup header, and what QEMU writes there. */
#include "lib/measure/linux_image.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Fields of the header, by their offset in the file (boot.rst, "The Real-Mode Kernel Header"). */
#define SETUP_SECTS     0x1f1u
#define BOOT_FLAG       0x1feu
#define HEADER_MAGIC    0x202u
#define PROTOCOL        0x206u
#define TYPE_OF_LOADER  0x210u
#define LOADFLAGS       0x211u
#define RAMDISK_IMAGE   0x218u
#define RAMDISK_SIZE    0x21cu
#define HEAP_END        0x224u
#define CMD_LINE        0x228u
#define INITRD_ADDR_MAX 0x22cu
#define XLOADFLAGS      0x236u
#define HEADER_END      0x268u

#define LOADED_HIGH      0x01u
#define CAN_USE_HEAP     0x80u
#define ABOVE_4G         0x02u
#define LOADER_QEMU      0xb0u
#define PROTOCOL_OLDEST  0x20cu /* has xloadflags */
#define REAL_MODE_AT     0x10000u
#define CMD_LINE_AT      0x20000u
#define ACPI_TABLES_ROOM 0x28000u /* below 4 GiB, left free (QEMU, hw/i386/pc.c) */
#define MIB              (1ull << 20)

static int broken(struct error *err, const char *why)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "not a bzImage: %s", why);
}

int linux_image_check(const struct blob *kernel, struct error *err)
{
	const uint8_t *p = kernel->data;
	size_t setup;

	if (kernel->size < HEADER_END)
		return broken(err, "it is too short");
	if (get_le16(p + BOOT_FLAG) != 0xaa55 || memcmp(p + HEADER_MAGIC, "HdrS", 4) != 0)
		return broken(err, "it has no setup header");
	if (get_le16(p + PROTOCOL) < PROTOCOL_OLDEST)
		return broken(err, "its boot protocol is older than 2.12");
	if (!(p[LOADFLAGS] & LOADED_HIGH))
		return broken(err, "it is to be loaded low");
	setup = p[SETUP_SECTS] ?: 4; /* sectors behind the first; none means 4 */
	if ((setup + 1) * 512 > kernel->size)
		return broken(err, "it ends in its setup part");
	return 0;
}

/* Where QEMU puts the initrd: as high as kernel and memory allow. */
static int place_initrd(const uint8_t *p, uint64_t memory, uint64_t size, uint32_t *at,
                        struct error *err)
{
	uint64_t low = memory >= 2816 * MIB ? 2048 * MIB : memory; /* RAM below 4 GiB, q35 */
	uint64_t max =
	    get_le16(p + XLOADFLAGS) & ABOVE_4G ? UINT32_MAX : get_le32(p + INITRD_ADDR_MAX);

	if (low <= ACPI_TABLES_ROOM)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "%" PRIu64 " bytes of memory hold no kernel", memory);
	if (max >= low - ACPI_TABLES_ROOM)
		max = low - ACPI_TABLES_ROOM - 1;
	if (size >= max)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "an initrd of %" PRIu64 " bytes does not fit into %" PRIu64
		                      " MiB of memory",
		                      size, (uint64_t)(memory / MIB));
	*at = (uint32_t)(max - size) & ~4095u;
	return 0;
}

int linux_image_as_loaded(const struct blob *kernel, uint64_t memory, uint64_t initrd_size,
                          struct buffer *out, struct error *err)
{
	uint8_t *p = NULL;
	uint32_t at = 0;
	int r = linux_image_check(kernel, err);

	if (r == 0 && initrd_size > 0)
		r = place_initrd(kernel->data, memory, initrd_size, &at, err);
	if (r < 0)
		return r;
	p = buffer_reserve(out, kernel->size);
	if (!p)
		return error_set(err, ENOMEM, "no memory for the kernel");
	memcpy(p, kernel->data, kernel->size);
	out->size += kernel->size;
	p[TYPE_OF_LOADER] = LOADER_QEMU;
	p[LOADFLAGS] |= CAN_USE_HEAP;
	put_le16(p + HEAP_END, CMD_LINE_AT - REAL_MODE_AT - 0x200);
	put_le32(p + CMD_LINE, CMD_LINE_AT);
	if (initrd_size > 0) {
		put_le32(p + RAMDISK_IMAGE, at);
		put_le32(p + RAMDISK_SIZE, (uint32_t)initrd_size);
	}
	return 0;
}
