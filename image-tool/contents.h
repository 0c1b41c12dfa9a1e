/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contents: the files of an image, and those in its root file system, with their digests.
 *
 * Of a root that is no EROFS, ext4, initrd, or disk with one of them, only its file counts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/error.h"
#include "lib/guestimg/guestimg.h"

struct content_file {
	const char *name; /* in the folder; in the root: the path without a leading slash */
	uint64_t size;
	char sha1[41]; /* SPDX wants it of every file */
	char sha256[65];
};

struct contents {
	struct content_file *files; /* as image.json has them, then image.json itself */
	size_t n_files;
	struct content_file *root; /* regular files, sorted by path */
	size_t n_root;
	bool root_listed;

	struct arena arena;
};

/* -EBADMSG (kind verification): a file is not what image.json says. -EUCLEAN: a damaged root.
 * -EINTR: a signal came. */
int contents_read(struct contents *c, const char *dir, const struct guestimg *img,
                  struct error *err);
void contents_free(struct contents *c);
#define _cleanup_contents_ __attribute__((cleanup(contents_free)))
