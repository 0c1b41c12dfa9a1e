/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpio: reads "newc" archives, which Linux unpacks into its first root
 * (Documentation/driver-api/early-userspace/buffer-format.rst).
 *
 * Bytes are pushed in as they come; memory is a name and no more. Both forms are known, with and
 * without checksums (070701, 070702); checksums are checked. As the kernel does, several
 * archives behind one another are read as one, with zeros between them.
 *
 * A damaged archive is -EUCLEAN (kind input) with the name of the member it was found in.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#define CPIO_NAME_MAX 4096u /* bytes, NUL included: the kernel's PATH_MAX */

struct cpio_member {
	const char *name; /* as it is in the archive; valid during the call */
	uint64_t archive; /* counted from 0: inode numbers mean something within one */
	uint32_t ino;
	uint32_t mode; /* type and permissions as stat(2) has them */
	uint32_t uid, gid;
	uint32_t nlink;
	uint32_t mtime;
	uint32_t size; /* bytes; of hard links one has the content and the others none */
	uint32_t dev_major, dev_minor;
	uint32_t rdev_major, rdev_minor;
	uint64_t offset; /* of the content in the archive */
};

struct cpio_ops {
	/* A non-zero return ends the reading and is returned on. */
	int (*member)(const struct cpio_member *m, void *data, struct error *err);
	/* Of the member before, piece by piece, in order. May be NULL. */
	int (*content)(const uint8_t *p, size_t n, void *data, struct error *err);
};

struct cpio;

int cpio_new(const struct cpio_ops *ops, void *data, struct cpio **out, struct error *err);
void cpio_free(struct cpio *c);
DEFINE_CLEANUP(struct cpio, cpio, cpio_free)
#define _cleanup_cpio_ _cleanup_(cleanup_cpio)

int cpio_feed(struct cpio *c, const uint8_t *p, size_t n, struct error *err);
/* The input is over: -EUCLEAN when the archive is not. */
int cpio_end(struct cpio *c, struct error *err);
