/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel: what the file of a guest kernel asks of its loader.
 *
 * Three kinds: ELF with a PVH entry (Xen docs/misc/pvh.pandoc) or, without one, Linux's 64-bit
 * entry; bzImage by the 64-bit protocol (Linux Documentation/arch/x86/boot.rst); ELF or flat files
 * with a multiboot-1 header. The bytes are anybody's: nothing is read outside of them, nothing is
 * trusted that they say, and what is found is bounded here. Errors are of kind ERROR_INPUT and read
 * on after the file's name ("is cut short ..."): -ENOEXEC for a file of none of these kinds,
 * -EINVAL for one that is broken.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define KERNEL_SEGMENTS_MAX 16

enum kernel_entry {
	KERNEL_ENTRY_PVH,       /* 32 bits, no paging, EBX: struct hvm_start_info */
	KERNEL_ENTRY_LONG,      /* 64 bits, identity page tables, RSI: struct boot_params */
	KERNEL_ENTRY_MULTIBOOT, /* 32 bits, no paging, EAX: magic, EBX: multiboot information */
};

struct kernel_segment {
	uint64_t offset, file_size; /* in the file, both inside of it */
	uint64_t gpa, memory_size;  /* at least file_size; does not wrap round */
};

struct kernel_image {
	enum kernel_entry entry;
	uint64_t entry_point; /* guest-physical, inside a segment */
	struct kernel_segment segments[KERNEL_SEGMENTS_MAX];
	unsigned int n_segments;
	uint64_t begin, end; /* guest-physical memory that the kernel takes to start */
	/* Of a bzImage: its setup header in the file, for the zero page; else NULL. */
	const uint8_t *setup;
	size_t setup_size;
	uint64_t cmdline_max, initrd_max; /* bytes without the NUL; last address */
};

int kernel_parse(const uint8_t *data, size_t size, struct kernel_image *out, struct error *err);

/* For the readers of the single kinds. */
int kernel_bad(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int kernel_add_segment(struct kernel_image *k, size_t file, const struct kernel_segment *s,
                       struct error *err);
bool kernel_has(const struct kernel_image *k, uint64_t gpa); /* inside a segment */
/* 1 and the kernel, 0 when the file is not of this kind, negative when it is broken. */
int kernel_parse_elf(const uint8_t *data, size_t size, struct kernel_image *k, struct error *err);
int kernel_parse_bzimage(const uint8_t *data, size_t size, struct kernel_image *k,
                         struct error *err);
/* Looks at what kernel_parse_elf() found, or at a file that is no ELF file. */
int kernel_parse_multiboot(const uint8_t *data, size_t size, struct kernel_image *k,
                           struct error *err);
