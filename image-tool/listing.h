/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listing: everything that a file system or an initrd holds, in one form whatever it is.
 *
 * Nothing is mounted. Of hard links each name is listed, with what they share. An initrd that
 * has a path twice has what came last, as when the kernel unpacks it; its content is in memory
 * then and so has no offset.
 *
 * Errors: -EUCLEAN (kind input) a damaged one, those of the readers (lib/erofs/reader.h,
 * lib/ext4/walk.h, lib/cpio/). Memory: some 200 bytes an entry.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "image-tool/probe.h"
#include "lib/base/arena.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#define LISTING_NOWHERE    UINT64_MAX
#define LISTING_MAX        (4u << 20)    /* entries */
#define LISTING_DIGEST_MAX (64ull << 30) /* bytes of a file whose digest is computed */

struct listed {
	const char *path; /* without a leading slash; "" the root */
	uint32_t mode, uid, gid, nlink;
	uint32_t rdev_major, rdev_minor;
	uint64_t size;
	int64_t mtime;
	uint64_t offset;    /* of the content in the file; LISTING_NOWHERE: in no one place */
	const char *layout; /* how the content is kept; NULL: there is none */
	bool dax;           /* a guest can map it in pages of 4 KiB */
	bool contiguous;    /* it is in one piece from `offset` on */
	bool has_digest;
	uint8_t digest[32]; /* SHA-256 of the content or of the link's target */
	uint8_t sha1[20];   /* the same as SHA-1, when it was asked for */
	uint8_t xattrs[32]; /* XOR of the SHA-256 of each name, NUL, value; 0: none, or not asked */
	bool has_xattrs;
	const char *target; /* of a symbolic link, when digests were asked for */
};

/* What of the regular files a guest maps without a copy when the whole is a pmem device. */
struct listing_share {
	uint64_t files, bytes;
	uint64_t small_bytes; /* in pages of 4 KiB at least */
	uint64_t huge_bytes;  /* of these, in pages of 2 MiB */
};

enum listing_detail {
	LISTING_NAMES,   /* contents, targets and xattrs are not read */
	LISTING_DIGESTS, /* SHA-256 */
	LISTING_SHA1,    /* SHA-1 as well */
};

struct listing {
	enum probe_type type;
	enum listing_detail detail;
	struct listed *entries; /* sorted by path, bytewise */
	size_t n;
	struct listing_share share;
	/* Private: */
	size_t room;
	struct arena arena;
};

/* `type` is PROBE_EROFS, PROBE_EXT4 or PROBE_INITRD. */
int listing_load(const struct place *place, enum probe_type type, enum listing_detail detail,
                 struct listing **out, struct error *err);
/* Of whatever of these is there, of a disk the first partition. 1: it is something else. */
int listing_load_root(const struct place *place, enum listing_detail detail, struct listing **out,
                      struct error *err);
void listing_free(struct listing *l);
DEFINE_CLEANUP(struct listing, listing, listing_free)
#define _cleanup_listing_ _cleanup_(cleanup_listing)

/* For the readers behind it. Copies the path; NULL (err set) when there are too many. */
struct listed *listing_add(struct listing *l, const char *path, struct error *err);
int listing_erofs(struct listing *l, const struct place *place, struct error *err);
int listing_ext4(struct listing *l, const struct place *place, struct error *err);
int listing_initrd(struct listing *l, const struct place *place, struct error *err);

/* Digests of one content, as they read it; for after the first call of listing_digest_start(). */
struct listing_digest {
	EVP_MD_CTX *sha256, *sha1; /* sha1: NULL unless it was asked for */
	struct buffer target;      /* the first bytes, for symbolic links */
};
int listing_digest_start(struct listing_digest *d, const struct listing *l, struct error *err);
int listing_digest_piece(const uint8_t *p, size_t n, void *digest, struct error *err);
int listing_digest_end(struct listing_digest *d, struct listing *l, struct listed *e,
                       struct error *err);
void listing_digest_free(struct listing_digest *d);
#define _cleanup_listing_digest_ __attribute__((cleanup(listing_digest_free)))
/* Mixes one extended attribute in. */
int listing_xattr(struct listed *e, const char *name, const void *value, size_t size,
                  struct error *err);
