/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime_dir: a private folder for one running guest, gone with it.
 *
 * $XDG_RUNTIME_DIR/kihon/ID, /run/kihon/ID for root, else /tmp/kihon-UID/ID. Each
 * holds a lock that its owner keeps: a folder whose lock is free was left behind
 * by an owner that was killed, and is removed by whoever comes next.
 */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"

struct runtime_dir {
	char *path; /* owned; NULL when there is none */
	char *id;   /* owned: the last component, 12 hexadecimal digits */
	int lock;
};

#define RUNTIME_DIR_INIT                                                                           \
	{                                                                                          \
		NULL, NULL, -1                                                                     \
	}

int runtime_dir_new(struct runtime_dir *d, struct error *err);
/* Removes the folder with all that is in it. */
void runtime_dir_free(struct runtime_dir *d);
#define _cleanup_runtime_dir_ __attribute__((cleanup(runtime_dir_free)))

/* The folder of a guest that runs, by its id, into fresh memory. -ENOENT: there is none. */
int runtime_dir_find(const char *id, char **path, struct error *err);

/* A file in the folder, mode 0600, with these bytes, that has no name any more: the
 * descriptor (read-only) is all there is of it. For secrets on their way to a guest. */
int runtime_dir_unnamed_file(const struct runtime_dir *d, const void *data, size_t size,
                             struct error *err);
