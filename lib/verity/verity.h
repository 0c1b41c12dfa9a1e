/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verity: the hash tree that dm-verity checks a read-only block device with.
 *
 * Format 1 of Linux Documentation/admin-guide/device-mapper/verity.rst: SHA-256 of
 * salt and block, blocks of 4096 bytes on both sides, levels stored from the root down,
 * an optional superblock as cryptsetup writes it. Data and tree may be ranges of the
 * same file. Everything is streamed: memory is bounded whatever the size.
 *
 * Errors: -EINVAL a range that is no whole number of blocks or a salt that is too long,
 * -EFBIG sizes that overflow, -EBADMSG (kind verification) a block that does not hold,
 * -EUCLEAN (kind input) a superblock that is damaged or of a kind this does not do, errno
 * values of the files.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

#define VERITY_BLOCK_SIZE  4096u
#define VERITY_DIGEST_SIZE 32u
#define VERITY_SALT_MAX    256u /* what the superblock has room for */
#define VERITY_SUPER_SIZE  512u

struct verity {
	uint64_t data_blocks;
	uint8_t salt[VERITY_SALT_MAX];
	size_t salt_size;
	uint8_t uuid[16]; /* in the superblock only */
	uint8_t root[VERITY_DIGEST_SIZE];
};

/* Data, and where its tree is: byte offsets of the files, multiples of VERITY_BLOCK_SIZE. The
 * descriptors stay the caller's and may be the same. */
struct verity_place {
	int data_fd;
	uint64_t data_offset;
	int hash_fd;
	uint64_t hash_offset; /* of the superblock, or without one of the tree */
	bool superblock;      /* one block of its own before the tree */
	/* Asked from time to time: true ends it (-EINTR). NULL: never. */
	bool (*interrupted)(void);
};

/* Bytes of a tree over data_blocks blocks, superblock included. -EFBIG. */
int verity_tree_size(uint64_t data_blocks, bool superblock, uint64_t *bytes, struct error *err);

/* Reads v->data_blocks blocks, writes the tree (hash_fd need not be empty; bytes of the range that
 * hold nothing become zero) and sets v->root. */
int verity_format(struct verity *v, const struct verity_place *place, struct error *err);

/* Checks tree and data against v->root from the top down and stops at the first block that does
 * not hold, which the error names. */
int verity_check(const struct verity *v, const struct verity_place *place, struct error *err);

/* The superblock of somebody's image; sets all but v->root. */
int verity_super_parse(const uint8_t *data, size_t size, struct verity *v, struct error *err);
void verity_super_format(const struct verity *v, uint8_t out[VERITY_SUPER_SIZE]);

/* A superblock of any kind that dm-verity knows, as it is; what it says is only a claim. */
struct verity_super {
	char algorithm[33]; /* "sha256", "sha512", ... */
	uint32_t data_block_size;
	uint32_t hash_block_size; /* powers of two from 512 to 65536 */
	uint64_t data_blocks;     /* at least 1 */
	uint8_t salt[VERITY_SALT_MAX];
	size_t salt_size;
	uint8_t uuid[16];
};

int verity_super_read(const uint8_t *data, size_t size, struct verity_super *out,
                      struct error *err);

/* What the kernel needs to make the device without an initramfs
 * (Documentation/admin-guide/device-mapper/dm-init.rst). */
struct verity_device {
	const char *name;     /* of the mapped device: letters, digits, '-', '_', '.' */
	const char *data_dev; /* such as /dev/vda */
	const char *hash_dev;
	uint64_t hash_offset; /* bytes in hash_dev, of the superblock or the tree */
	bool superblock;
};

/* Appends dm-mod.create="..." with panic_on_corruption: a guest that reads one wrong block stops,
 * rather than go on without it. The device is /dev/dm-0 when it is the only one. */
int verity_kernel_words(const struct verity *v, const struct verity_device *dev, struct buffer *out,
                        struct error *err);

/* Lower-case hexadecimal of n bytes, NUL-terminated; `out` has 2 * n + 1 bytes. */
void verity_hex(const uint8_t *bytes, size_t n, char *out);
/* The reverse, of exactly 2 * n digits of either case; -EINVAL. */
int verity_unhex(const char *hex, uint8_t *out, size_t n);
