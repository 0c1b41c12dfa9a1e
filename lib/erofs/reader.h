/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader: looks into an EROFS image that somebody else made.
 *
 * Every access is bounded by the image's size; a damaged or hostile image ends in
 * -EUCLEAN ("structure needs cleaning") and one line, never in a wild read or an
 * endless loop. Understood: 4096-byte blocks, flat plain and flat inline content,
 * inline and shared xattrs, and LZ4: full and compact indexes, clusters of up to 1 MiB whose
 * runs have up to 12 MiB (what Linux takes), with and without zero padding. Files that are
 * compressed otherwise, whose ends are packed together (ztailpacking, fragments), or that are
 * deduplicated by clusters can be listed and their attributes read; reading the bytes is
 * -EOPNOTSUPP. Chunked content is read when it is in the image itself. An open image takes up to 13
 * MiB once compressed content was read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

struct erofs_image;

struct erofs_super {
	uint32_t feature_compat;
	uint32_t feature_incompat;
	uint64_t root_nid;
	uint64_t inodes;
	int64_t build_time;
	uint32_t build_time_ns;
	uint32_t blocks;
	uint32_t meta_block;
	uint32_t xattr_block;
	uint8_t uuid[16];
	char volume_name[17];
	bool has_checksum;
	bool checksum_ok; /* true without one */
};

enum erofs_layout {
	EROFS_LAYOUT_PLAIN = 0,
	EROFS_LAYOUT_COMPRESSED_FULL = 1,
	EROFS_LAYOUT_INLINE = 2,
	EROFS_LAYOUT_COMPRESSED_COMPACT = 3,
	EROFS_LAYOUT_CHUNKED = 4,
};

struct erofs_stat {
	uint64_t nid;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t nlink;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint64_t size;
	int64_t mtime;
	uint32_t mtime_ns;
	enum erofs_layout layout;
	bool extended;       /* 64-byte inode */
	uint32_t block;      /* first block of plain and inline content; else how many there are */
	uint32_t xattr_size; /* bytes of the inline xattr area */
	uint64_t offset;     /* of the inode in the image */
};

/* From a descriptor (kept by the caller, read with pread) or from memory. */
int erofs_open_fd(struct erofs_image **out, int fd, struct error *err);
int erofs_open_memory(struct erofs_image **out, const void *data, size_t size, struct error *err);
void erofs_close(struct erofs_image *image);
DEFINE_CLEANUP(struct erofs_image, erofs_image, erofs_close)
#define _cleanup_erofs_image_ _cleanup_(cleanup_erofs_image)

const struct erofs_super *erofs_super(const struct erofs_image *image);

int erofs_stat_nid(struct erofs_image *image, uint64_t nid, struct erofs_stat *out,
                   struct error *err);
/* By path from the root; symbolic links are not followed. -ENOENT, -ENOTDIR. */
int erofs_lookup(struct erofs_image *image, const char *path, size_t len, struct erofs_stat *out,
                 struct error *err);
/* At most `size` bytes at `offset`; the count, 0 at the end. */
ssize_t erofs_pread(struct erofs_image *image, const struct erofs_stat *st, void *buf, size_t size,
                    uint64_t offset, struct error *err);
/* Beyond a hole at `offset`, as the image is kept: *next is the first byte behind it, `offset`
 * itself where none is known. Zeros may be anywhere else, too. */
int erofs_skip_hole(struct erofs_image *image, const struct erofs_stat *st, uint64_t offset,
                    uint64_t *next, struct error *err);

/* Called for each entry, "." and ".." included. Non-zero stops and is returned. The
 * name is not NUL-terminated and is checked: 1..255 bytes without '/' and NUL. */
typedef int (*erofs_dirent_fn)(const char *name, size_t len, uint64_t nid, uint8_t type,
                               void *data);
int erofs_readdir(struct erofs_image *image, const struct erofs_stat *dir, erofs_dirent_fn fn,
                  void *data, struct error *err);

/* Called for each xattr, full name NUL-terminated. Non-zero stops and is returned. */
typedef int (*erofs_xattr_fn)(const char *name, const void *value, size_t size, void *data);
int erofs_xattrs(struct erofs_image *image, const struct erofs_stat *st, erofs_xattr_fn fn,
                 void *data, struct error *err);

/*
 * Walks the whole image: every path is called once, sorted, a directory before what is
 * in it ("" first, the root). `path` is NUL-terminated, without a leading slash. Each
 * directory must be reachable by one path only, so a loop is found. fn may be NULL.
 */
typedef int (*erofs_walk_fn)(const char *path, const struct erofs_stat *st, void *data);
int erofs_walk(struct erofs_image *image, erofs_walk_fn fn, void *data, struct error *err);

struct erofs_check_result {
	uint64_t inodes;
	uint64_t directories;
	uint64_t files;
	uint64_t file_bytes;
	uint64_t huge_files;         /* of 2 MiB and more */
	uint64_t huge_files_aligned; /* of those, how many begin on a 2 MiB boundary */
	uint64_t dax_files;          /* non-empty files that are flat plain */
	uint64_t compressed_files;
	uint64_t compressed_bytes; /* of the image, that these take; their size is in file_bytes */
};

/* Everything that can be checked without the source: checksum, bounds, order and
 * uniqueness of names, "." and "..", link counts, types, xattrs, content within the
 * image, no two files sharing part of a block run but not all of it, compressed content
 * that decompresses (-EOPNOTSUPP where it cannot be read, see above). */
int erofs_check(struct erofs_image *image, struct erofs_check_result *result, struct error *err);
