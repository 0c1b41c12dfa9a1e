/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: the folder of finished layers, DIR/layers/sha256-<diff_id>.erofs.
 *
 * A file there is whole: it is written under a temporary name, locked, and renamed when
 * all its digests hold. What a killed process left behind is removed at the next start
 * (its lock is gone), also while others work. A layer that took something from the
 * layers below it (layer.h) is kept for that chain of layers only, under a longer name.
 */
#pragma once

#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/oci/digest.h"

struct store;

/* Makes the folder when needed. The path becomes absolute. */
int store_open(const char *dir, struct store **out, struct error *err);
void store_close(struct store *s);
DEFINE_CLEANUP(struct store, store, store_close)
#define _cleanup_store_ _cleanup_(cleanup_store)

/* The file of a layer on top of the chain `below` (NULL: nothing is below), as fresh
 * memory. 1: it is not there. */
int store_find(struct store *s, const struct digest *diff_id, const struct digest *below,
               char **path, uint64_t *size, struct error *err);

struct store_temp {
	int fd; /* -1 when not open */
	char name[48];
	struct store *store;
};
#define STORE_TEMP_INIT                                                                            \
	{                                                                                          \
		-1, "", NULL                                                                       \
	}

int store_begin(struct store *s, struct store_temp *t, struct error *err);
/* shared: the same for every chain. The file becomes read-only. */
int store_commit(struct store_temp *t, const struct digest *diff_id, const struct digest *below,
                 bool shared, char **path, uint64_t *size, struct error *err);
void store_abort(struct store_temp *t); /* removes the file; fine after commit */
#define _cleanup_store_temp_ _cleanup_(store_abort)
