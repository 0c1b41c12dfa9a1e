/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_cache: guest images that were fetched, a folder each, by the digest of the manifest:
 * $XDG_CACHE_HOME/kihon/images/sha256-<hex>.
 *
 * An entry appears whole, under a lock; runs may go on side by side. Each holds its manifest,
 * and an entry that is used is checked against it anew, down to every byte: what a disk or a
 * person has spoilt is fetched again.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/image/artifact.h"
#include "lib/oci/digest.h"

#define IMAGE_CACHE_MANIFEST "manifest.json"

struct image_cache {
	char *path; /* owned */
	int fd;     /* of the folder; the lock is on it */
};

#define IMAGE_CACHE_INIT                                                                           \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Makes the folder, and removes what runs that were killed have left. Kind environment. */
int image_cache_open(struct image_cache *c, struct error *err);
void image_cache_close(struct image_cache *c);
#define _cleanup_image_cache_ __attribute__((cleanup(image_cache_close)))

/* 0: there is a sound entry, *path (owned by the caller) is its folder; 1: there is none. */
int image_cache_find(const struct image_cache *c, const struct digest *manifest, char **path,
                     struct error *err);

/* A hidden folder to fetch into; *fd keeps others from removing it until it is closed. */
int image_cache_begin(const struct image_cache *c, char **path, int *fd, struct error *err);
/* Makes the folder, which holds all files and the manifest, the entry; *entry is the caller's. */
int image_cache_commit(const struct image_cache *c, const char *path, const struct digest *manifest,
                       char **entry, struct error *err);

/* The files of a folder against the manifest: -EBADMSG, -ENOENT. */
int image_cache_check(const char *dir, const struct artifact *a, struct error *err);
