/* SPDX-License-Identifier: Apache-2.0 */
/* image_dir: where a guest image is, and what is in it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/guestimg/guestimg.h"

struct image_dir {
	char *path;    /* owned */
	char *kernel;  /* owned paths */
	char *bzimage; /* the kernel that a firmware starts; NULL: none */
	char *rootfs;  /* a disk; NULL when the image has an initrd */
	char *initrd;  /* NULL when it has a root file system */
	char *cmdline; /* words that the image asks for; NULL: none */
	/* Kernel words that find the root on a virtio-blk or pmem device; NULL: the usual. */
	char *words_blk, *words_pmem;
	char *program;       /* of an image with one program and no agent, its path; else NULL */
	bool confidential;   /* its profile is for confidential guests */
	uint64_t memory_min; /* bytes; 0: not said */
	uint32_t lacks;      /* enum hypervisor_lacks, by the kernel.config of the image */
	struct guestimg *json;
};

/* path NULL: $KIHON_IMAGE_DIR, else the image of the build tree or of the installation that
 * this program belongs to. */
int image_dir_open(struct image_dir *d, const char *path, struct error *err);
/* The same of an image whose kernel was looked at before: its configuration is not read again. */
int image_dir_open_known(struct image_dir *d, const char *path, uint32_t lacks, struct error *err);
void image_dir_free(struct image_dir *d);
#define _cleanup_image_dir_ __attribute__((cleanup(image_dir_free)))
