/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar: reads an archive that is pushed in as it arrives - v7, ustar, pax and GNU, with
 * long names, base-256 numbers, global headers, xattrs and sparse files.
 *
 * Nothing is interpreted: names come out as they stand in the archive ("..", absolute
 * and all), and what they mean is the caller's. Memory: the extended headers of one
 * member (max_header each) and the map of a sparse one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/image/tar_pax.h"

enum tar_type {
	TAR_FILE,
	TAR_HARDLINK,
	TAR_SYMLINK,
	TAR_CHAR,
	TAR_BLOCK_DEVICE,
	TAR_DIR,
	TAR_FIFO,
};

struct tar_entry {
	enum tar_type type;
	const char *path; /* NUL-terminated, may be empty */
	const char *link; /* hard and symbolic links */
	uint32_t mode;    /* permission bits, 07777 */
	uint32_t uid, gid;
	uint32_t major, minor;
	int64_t mtime;
	uint32_t mtime_ns;
	uint64_t size; /* of a file, holes included */
	const struct tar_xattr *xattrs;
	size_t n_xattrs;
};

/* What becomes of the members. A non-zero return ends the reading and is passed on. */
struct tar_sink {
	int (*entry)(void *data, const struct tar_entry *e, struct error *err);
	/* The content of the last file, all of `size`; p NULL means n zeros. */
	int (*content)(void *data, const uint8_t *p, uint64_t n, struct error *err);
	/* The member is complete. */
	int (*end)(void *data, struct error *err);
};

struct tar_limits {
	uint64_t max_size;    /* bytes of all files together, holes included */
	uint64_t max_entries; /* members */
	size_t max_header;    /* bytes of one extended header or long name */
};

#define TAR_LIMITS_DEFAULT                                                                         \
	{                                                                                          \
		.max_size = 64ULL << 30, .max_entries = 1000000, .max_header = 1 << 20             \
	}

struct tar;

int tar_new(const struct tar_sink *sink, void *data, const struct tar_limits *limits,
            struct tar **out, struct error *err);
void tar_free(struct tar *t);
DEFINE_CLEANUP(struct tar, tar, tar_free)
#define _cleanup_tar_ _cleanup_(cleanup_tar)

/* -EINVAL not a tar, -EFBIG and -E2BIG past a limit (all kind input). What follows the
 * two blocks of zeros that end an archive is ignored. */
int tar_feed(struct tar *t, const uint8_t *p, size_t n, struct error *err);
/* For who wants to know where content is, not what: how many bytes of a plain file's content come
 * next (0 when something else does) ... */
uint64_t tar_content_left(const struct tar *t);
/* ... and that the n next of them (at most so many) will not be fed. The sink sees nothing. */
int tar_skip(struct tar *t, uint64_t n, struct error *err);
/* The input is over: -ENODATA inside a member. The final zeros may be missing. */
int tar_end(struct tar *t, struct error *err);
