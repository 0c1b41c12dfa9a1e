/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootview: a root file system as a program in it would see it: paths are followed through
 * symbolic links without ever leaving it, contents are in memory.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/erofs/reader.h"
#include "lib/image/path.h"

struct rootview;

/* fd: an EROFS image as lib/erofs/writer.h makes it, uncompressed; it may be closed after this and
 * must not change. */
int rootview_open(struct rootview **out, int fd, struct error *err);
void rootview_close(struct rootview *v);
DEFINE_CLEANUP(struct rootview, rootview, rootview_close)
#define _cleanup_rootview_ _cleanup_(cleanup_rootview)

struct rootview_file {
	char path[PATH_ROOM + 1]; /* absolute, without links */
	struct erofs_stat st;
	const uint8_t *data; /* of a regular file, as long as the view is open */
	size_t size;
};

/* `path`, from `dir` (absolute) unless it is absolute itself. 0; 1 when nothing is there (a link
 * that leads nowhere included); -ELOOP after 40 links, -ENAMETOOLONG, both of kind input. */
int rootview_find(struct rootview *v, const char *dir, const char *path, struct rootview_file *out,
                  struct error *err);

/* Whether some folder holds a regular file or link of that name. */
int rootview_has_name(struct rootview *v, const char *name, bool *found, struct error *err);
