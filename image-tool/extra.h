/* SPDX-License-Identifier: Apache-2.0 */
/*
 * extra: what --extra lays over the root: a folder of the host, or an archive (tar, also packed
 * with gzip or zstd).
 *
 * Of a folder all is owned by root; an archive says itself who owns what. Everything carries the
 * time of the build. Sockets are left out. A name with a newline in it, a path that an archive has
 * twice, a hard link to what it does not hold before, and whatever the readers of archives refuse,
 * is -EINVAL or such (kind input).
 */
#pragma once

#include "image-tool/profile.h"
#include "image-tool/stage.h"
#include "lib/base/error.h"

/* Content of archives, which the tree points into until the image is written. */
struct extras {
	struct extra_map {
		void *data;
		size_t size;
	} * maps; /* owned */
	size_t n;
};

/* sha256: of what is in the folder (not of its path or times), or of the archive. */
int extras_add(struct extras *x, struct profile *p, const char *path,
               const struct profile_source *src, struct stage *stage, char sha256[65],
               struct error *err);
void extras_free(struct extras *x);
