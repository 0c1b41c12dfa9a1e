/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar_pax: the records of pax extended headers (POSIX.1-2017 pax, "pax Extended
 * Header"), "LENGTH KEY=VALUE\n" each. Only what a layer can mean is looked at.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/image/tar_sparse.h"

#define TAR_XATTR_MAX      128 /* of one member */
#define TAR_XATTR_NAME_MAX 255 /* bytes, as Linux */

struct tar_xattr {
	const char *name; /* NUL-terminated, with its namespace */
	const void *value;
	size_t size;
};

/* What a record said; NULL or false when none did. An empty value takes back what a
 * global header said: it sets the pointer to "". */
struct tar_pax {
	struct buffer body;    /* owns the text that the pointers are into */
	struct buffer decoded; /* and the values that were base64 */
	const char *path, *linkpath;
	bool has_size, has_uid, has_gid, has_mtime;
	uint64_t size, uid, gid;
	int64_t mtime;
	uint32_t mtime_ns;
	struct tar_xattr xattrs[TAR_XATTR_MAX];
	size_t n_xattrs;
	/* GNU.sparse.*: */
	bool sparse;      /* any of the forms */
	bool sparse_body; /* 1.0: the map is in front of the bytes */
	const char *sparse_name;
	struct tar_sparse map;  /* 0.0, 0.1, and the size of all */
	uint64_t sparse_offset; /* 0.0: waits for its numbytes */
	bool has_sparse_offset;
};

/* Forgets everything, keeps the memory. */
void tar_pax_clear(struct tar_pax *x);
void tar_pax_free(struct tar_pax *x);
/* Reads x->body, to which the caller has appended the header's bytes, and cuts it up. */
int tar_pax_parse(struct tar_pax *x, struct error *err);
