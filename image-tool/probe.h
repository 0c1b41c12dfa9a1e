/* SPDX-License-Identifier: Apache-2.0 */
/* probe: what a file, or a range of one, is: by its magic numbers. */
#pragma once

#include <stdint.h>

#include "lib/base/error.h"

/* A range of a file; the descriptor is somebody else's. */
struct place {
	int fd;
	uint64_t offset, size; /* bytes */
};

enum probe_type {
	PROBE_UNKNOWN,
	PROBE_EROFS,
	PROBE_EXT4, /* ext2 and ext3, too */
	PROBE_INITRD,
	PROBE_KATA,   /* a disk with a DAX information block */
	PROBE_DISK,   /* an MBR without one */
	PROBE_GPT,    /* not looked into */
	PROBE_VERITY, /* a hash tree with its superblock */
	PROBE_ELF,
	PROBE_BZIMAGE,
};

int probe_place(const struct place *place, enum probe_type *out, struct error *err);
/* In JSON and for people: "erofs", "ext4", "initrd", ... */
const char *probe_name(enum probe_type type);

/* The version that a kernel's own bytes name, and its PVH entry. */
struct kernel_image {
	char version[128];  /* "" when there is none */
	uint64_t pvh_entry; /* of an ELF; 0: none */
};

/* An ELF or a bzImage. -EINVAL (kind input): it does not say its version: it is no Linux kernel. */
int kernel_image_read(const struct place *place, struct kernel_image *out, struct error *err);

/* Maps the range; unmap with place_unmap(). *data is NULL for an empty one. */
int place_map(const struct place *place, const uint8_t **data, struct error *err);
void place_unmap(const struct place *place, const uint8_t *data);
