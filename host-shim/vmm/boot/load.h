/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load: puts a kernel, what belongs to it and what it is told into guest memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-shim/vmm/boot/kernel.h"
#include "host-shim/vmm/memory.h"
#include "lib/base/error.h"

/* The bytes of a file, and the file for mapping pages of it; fd -1: copy. */
struct load_file {
	const uint8_t *data;
	size_t size;
	int fd;
};

struct load_config {
	struct load_file kernel, initrd; /* initrd.size 0: none */
	const char *cmdline;             /* NULL: "" */
	const char *name; /* of the kernel's file: a multiboot kernel's first word, as boot loaders
	                   * have it, without folders; NULL: none */
	uint64_t rsdp;    /* guest-physical address of ACPI's root pointer, 0: none */
	bool map; /* map whole pages of the files privately over the memory instead of copying:
	           * not for memory that other processes share, nor for hugetlbfs. A kernel is
	           * copied all the same where the host gives it transparent huge pages */
};

/* How the first processor starts: struct kernel_image tells the mode. */
struct load_entry {
	enum kernel_entry mode;
	uint64_t rip, rax, rbx, rsi;
};

/* -EINVAL (ERROR_INPUT): the kernel is broken or does not fit; the error reads on after its name.
 * What was mapped over the memory goes with it. */
int load_kernel(const struct guest_memory *m, const struct load_config *config,
                struct load_entry *out, struct error *err);

/* What is where, for the kernel: at most MEMORY_MAP_MAX entries; the number. */
#define MEMORY_MAP_MAX      8
#define MEMORY_MAP_RAM      1 /* as in e820, PVH and multiboot */
#define MEMORY_MAP_RESERVED 2
struct memory_map_entry {
	uint64_t gpa, size;
	uint32_t type;
};
unsigned int memory_map(const struct guest_memory *m, struct memory_map_entry *out);
