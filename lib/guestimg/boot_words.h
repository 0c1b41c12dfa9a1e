/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_words: the kernel command line of a guest, put together in one place, so that what a
 * hypervisor passes and what a verifier expects are the same words in the same order.
 */
#pragma once

#include <stdbool.h>

/* The console, an end instead of a restart after a panic, and no look through the kernel's code for
 * locks that one processor can do without: each of thousands is patched by itself, at every boot.
 */
#define BOOT_WORDS_MACHINE "console=ttyS0 panic=-1 noreplace-smp"
/* Of machines without PCI, for kernels that would look for it; others would take it for a word of
 * the program's. */
#define BOOT_WORDS_NO_PCI "pci=off"
/* Roots of images that do not say their own words: the first virtio-blk or virtio-pmem device. */
#define BOOT_WORDS_ROOT_BLK  "root=/dev/vda rootfstype=erofs ro"
#define BOOT_WORDS_ROOT_PMEM "root=/dev/pmem0 rootfstype=erofs rootflags=dax=always ro"
/* What QEMU's user network gives a guest; said in words so that nobody waits for DHCP. */
#define BOOT_WORDS_NET_USER "ip=10.0.2.15::10.0.2.2:255.255.255.0::eth0:off:10.0.2.3"
/* When nobody watches the console. */
#define BOOT_WORDS_QUIET "loglevel=3"

/* In the order in which they are passed; NULL and "" are left out. */
struct boot_words {
	const char *machine;
	const char *platform; /* of the machine: BOOT_WORDS_NO_PCI, its clock */
	const char *root;
	const char *net;
	const char *level;
	const char *image;  /* image.json's */
	const char *append; /* the user's */
};

/* How the root reaches the guest. */
enum boot_root { BOOT_ROOT_NONE, BOOT_ROOT_BLK, BOOT_ROOT_PMEM };

/* What a launch depends on; hypervisors and `measure` get their words from boot_words_launch(). */
struct boot_launch {
	enum boot_root root;
	const char *words_blk, *words_pmem; /* the image's own for such a root; NULL: the usual */
	const char *net;      /* BOOT_WORDS_NET_USER, or another network's; NULL: none */
	const char *platform; /* as in struct boot_words, like the next */
	const char *level, *image, *append;
};

/* Fresh memory; NULL on a full memory. */
char *boot_words_launch(const struct boot_launch *l);
char *boot_words_join(const struct boot_words *w);
