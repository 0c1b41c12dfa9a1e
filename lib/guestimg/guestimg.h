/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guestimg: image.json, which says what a folder with a guest image holds
 * (docs/image-json.md): kernel, root filesystem, command line, and what it was made of.
 *
 * Reading is strict: a schema that is not ours, a member of the wrong type, a file name
 * that is a path, a digest that is none is -EINVAL (kind ERROR_INPUT) and one line that
 * names the member. Unknown members are ignored. What is read points into the struct's
 * arena; what is to be written may point anywhere that lives long enough.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#define GUESTIMG_SCHEMA       1
#define GUESTIMG_FILE         "image.json"
#define GUESTIMG_SIGNATURE    "image.json.sig" /* over its bytes; there only when it was signed */
#define GUESTIMG_MAX_SIZE     (4u << 20)       /* bytes of image.json */
#define GUESTIMG_MAX_FILES    256
#define GUESTIMG_MAX_PACKAGES 4096
#define GUESTIMG_MAX_STRING   4096
#define GUESTIMG_MAX_HOT      4096

struct guestimg_file {
	const char *name;   /* in the image's folder, no '/' */
	uint64_t size;      /* bytes */
	const char *sha256; /* 64 hex digits, lower case */
};

struct guestimg_package {
	const char *name;
	const char *version;
	const char *source;  /* source package */
	const char *licence; /* SPDX expression */
	const char *sha256;  /* of the source package's description; NULL: not known */
};

/* dm-verity of the root: SHA-256, blocks of 4096 bytes, no superblock. */
struct guestimg_verity {
	const char *root_hash; /* 64 hex digits; NULL: there is no hash tree */
	const char *salt;      /* 64 hex digits */
	uint64_t data_blocks;
	uint64_t data_offset; /* bytes in the root's file, as is the next */
	uint64_t hash_offset;
};

struct guestimg {
	const char *name;
	const char *version; /* of Kihon */
	const char *profile;
	const char *arch;   /* as uname(1): "x86_64" */
	uint64_t timestamp; /* SOURCE_DATE_EPOCH, or 0 */
	struct {
		const char *vmlinux; /* ELF with a PVH entry */
		const char *bzimage; /* NULL: none */
		const char *version;
		const char *config;        /* the .config; NULL: not in the image */
		const char *config_sha256; /* NULL: not known */
		const char *compiler;      /* as kernel.json says it; NULL: not known */
	} kernel;
	struct {
		const char *file;
		const char *format;   /* "erofs", "initrd", "ext4" or "kata" */
		const char *type;     /* file system in a "kata" disk; NULL: format says it */
		const char *compress; /* METHOD[,LEVEL] that `build` was given; NULL: none */
		uint64_t size;        /* bytes that `build` was asked for; 0: none */
		/* Patterns of the files that `compress` leaves as they are (build --hot). */
		const char **hot;
		size_t n_hot;
		/* Kernel words for a root that is the first virtio-blk device, or the first pmem
		 * device; NULL: the device itself is the root. */
		const char *words_blk;
		const char *words_pmem;
	} rootfs;
	struct guestimg_verity verity;
	const char *cmdline; /* words that do not depend on the machine */
	/* Images of a single program: its path in the guest, and MiB of memory that the guest takes
	 * at least. NULL, 0: not one of these. */
	const char *program;
	uint64_t memory_min;
	struct {
		const char *version;
		const char *min_version; /* oldest agent that this host side can talk to */
		const char *protocol;
	} agent;
	struct guestimg_file *files;
	size_t n_files;
	struct guestimg_package *packages;
	size_t n_packages;

	struct arena arena;
};

int guestimg_parse(const char *text, size_t size, struct guestimg **out, struct error *err);
/* Reads DIR/image.json; does not look at the files that it names. */
int guestimg_load(const char *dir, struct guestimg **out, struct error *err);
void guestimg_free(struct guestimg *img);
DEFINE_CLEANUP(struct guestimg, guestimg, guestimg_free)
#define _cleanup_guestimg_ _cleanup_(cleanup_guestimg)

/* NULL when there is none of that name. */
const struct guestimg_file *guestimg_find(const struct guestimg *img, const char *name);

/* Its profile is one for guests whose memory the host cannot read ("confidential..."). */
bool guestimg_is_confidential(const struct guestimg *img);

/* The text, same input same bytes. */
void guestimg_format(const struct guestimg *img, struct buffer *out);
/* Writes DIR/image.json, whole or not at all; refuses what guestimg_parse() would. */
int guestimg_save(const struct guestimg *img, const char *dir, struct error *err);
