/* SPDX-License-Identifier: Apache-2.0 */
/* tar_header: one 512-byte block that begins a member - v7, ustar (POSIX.1-2017 pax) or GNU. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define TAR_BLOCK    512
#define TAR_NAME_MAX 257 /* prefix (155), '/', name (100), NUL */

/* Offsets of the fields: POSIX.1-2017 pax, "ustar Interchange Format". */
enum {
	TAR_AT_NAME = 0,
	TAR_AT_MODE = 100,
	TAR_AT_UID = 108,
	TAR_AT_GID = 116,
	TAR_AT_SIZE = 124,
	TAR_AT_MTIME = 136,
	TAR_AT_CHECKSUM = 148,
	TAR_AT_TYPE = 156,
	TAR_AT_LINK = 157,
	TAR_AT_MAGIC = 257,
	TAR_AT_MAJOR = 329,
	TAR_AT_MINOR = 337,
	TAR_AT_PREFIX = 345,
};

struct tar_header {
	char type; /* the typeflag: '0', '5', 'x', ... */
	char name[TAR_NAME_MAX];
	char link[101];
	uint32_t mode;
	uint64_t uid, gid;
	uint64_t size;
	int64_t mtime;
	uint32_t major, minor;
	bool gnu; /* "ustar  ": GNU's fields stand where ustar has its prefix */
};

/* 1: a block of zeros, which ends an archive. -EINVAL: not a header (its checksum does
 * not hold) or a number in it that is none. */
int tar_header_parse(const uint8_t block[TAR_BLOCK], struct tar_header *out, struct error *err);

/* Octal digits with blanks round them, or base-256 when the first bit is set (GNU, star).
 * An empty field is 0. -EINVAL, -ERANGE. */
int tar_number(const uint8_t *field, size_t size, int64_t *out);
