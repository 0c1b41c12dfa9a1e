/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer_options: what the options of a storage say of a device beside how it is mounted: which
 * part of a root file system it is, which partition, and what it is verified with.
 *
 *	X-kata.multi-layer=true	one layer of several; the driver erofs.multi-layer says it, too
 *	X-kata.overlay-lower, -upper	which; else erofs is lower, ext4 is upper
 *	X-kata.mkdir.path=PATH[:MODE[:UID[:GID]]]	to be made; "{{ mount 0 }}" is the upper
 *		layer's root, where a plain path begins, too
 *	X-kata.gpt-partitioned=true, X-kata.partition-number=N
 *	X-kata.dmverity-enabled=true, X-kata.dmverity.NAME=VALUE: roothash, hashoffset, blocksize,
 *		hashsize, algorithm, salt, hashtype, no-superblock
 *	X-kihon.dmverity.on-corruption=eio|restart|panic	eio: reading fails; the default
 *
 * What a hash tree rests on is not guessed: a verity option that is unknown, or is there twice with
 * different values, is an error. Other X- words are for somebody else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/verity/verity.h"

#define LAYER_DIGEST_MAX      64u
#define LAYER_PARTITION_MAX   255u /* Linux numbers no more (DISK_MAX_PARTS) */
#define LAYER_DRIVER          "erofs.multi-layer"
#define LAYER_ALGORITHM_BYTES 16u

enum layer_role { LAYER_NONE, LAYER_LOWER, LAYER_UPPER };

enum layer_corruption { LAYER_CORRUPTION_EIO, LAYER_CORRUPTION_RESTART, LAYER_CORRUPTION_PANIC };

/* What was not said is zero. */
struct layer_verity {
	bool enabled;
	bool no_superblock;
	bool has_salt, has_hash_type;
	char algorithm[LAYER_ALGORITHM_BYTES];
	uint8_t root[LAYER_DIGEST_MAX];
	size_t root_size;
	uint8_t salt[VERITY_SALT_MAX];
	size_t salt_size;
	uint64_t hash_offset; /* bytes: of the superblock, or without one of the tree; never 0 */
	uint32_t data_block_size, hash_block_size;
	uint32_t hash_type; /* 1, or 0: Chrome OS's */
	enum layer_corruption corruption;
};

struct layer_options {
	bool layer; /* one of several */
	enum layer_role role;
	uint32_t partition; /* of a GPT; 0: the whole device */
	struct layer_verity verity;
};

/* -EINVAL (kind input) names the option. */
int layer_options_parse(const char *driver, const char *fstype, char *const *options, size_t n,
                        struct layer_options *out, struct error *err);

/* Whether it is a layer, of any kind, right or wrong. */
bool layer_options_is_layer(const char *driver, char *const *options, size_t n);

/* The root hash that the options name, as they have it; "" when none is named. A word about
 * dm-verity without one counts as "?", which is no root hash. */
const char *layer_options_root_hash(char *const *options, size_t n);

/* A directory to be made before layers are stacked. */
struct layer_mkdir {
	bool in_lower;    /* "{{ mount 1 }}": the topmost lower layer */
	const char *path; /* within that layer; not terminated */
	size_t path_size;
	uint32_t mode, uid, gid; /* 0755, 0, 0 when not said */
};

/* 1: the option is none that makes a directory. */
int layer_mkdir_parse(const char *option, struct layer_mkdir *out, struct error *err);
