/* SPDX-License-Identifier: Apache-2.0 */
/*
 * golden: trees whose images are frozen byte by byte.
 *
 * test-erofs-golden compares hashes; tests/erofs.bats has fsck.erofs and the kernel look at
 * the same images. A hash changes only when the image layout is changed on purpose.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/erofs/tree.h"
#include "lib/erofs/writer.h"

struct golden {
	const char *name;
	const char *sha256;
	uint32_t flags; /* enum erofs_write_flags */
	int (*build)(struct erofs_tree *tree, struct error *err);
};

extern const struct golden goldens[]; /* ends with a NULL name */

const struct golden *golden_find(const char *name);
/* Writes the image of one to a file. */
int golden_write(const struct golden *g, int fd, struct error *err);
