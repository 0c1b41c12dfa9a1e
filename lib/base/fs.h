/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs: files by descriptor, whole or not at all, never out of a root.
 *
 * Paths that came from somebody else are opened with fs_open_in_root(): "/" and
 * ".." and symbolic links are resolved inside the root (openat2 RESOLVE_IN_ROOT).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "bytes.h"
#include "error.h"

/* openat2(2). `resolve` is RESOLVE_* of linux/openat2.h. -1 and errno on failure. */
int fs_openat2(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve);
/* Opens `path` as if rootfd were "/". Returns a descriptor or a negative errno. */
int fs_open_in_root(int rootfd, const char *path, int flags, mode_t mode);
/* mkdir -p inside the root; returns a descriptor (O_PATH|O_DIRECTORY) of the last. */
int fs_mkdir_in_root(int rootfd, const char *path, mode_t mode);

/* Reads a whole file of at most `max` bytes; -EFBIG beyond. Works for /proc. */
int fs_read_file(int dirfd, const char *path, size_t max, struct buffer *out, struct error *err);
int fs_read_fd(int fd, size_t max, struct buffer *out);
/* One write(2) to an existing file (sysfs, cgroupfs). */
int fs_write_string(int dirfd, const char *path, const char *text, struct error *err);
int fs_write_all(int fd, const void *data, size_t size); /* 0 or -errno */
int fs_pwrite_all(int fd, const void *data, size_t size, uint64_t offset);
int fs_pread_all(int fd, void *data, size_t size, uint64_t offset); /* -ENODATA when short */

/* Writes to a temporary name beside `path`, fsyncs, renames: whole or not at all. A device or a
 * pipe of that name is written to. */
int fs_write_file_atomic(const char *path, const void *data, size_t size, mode_t mode,
                         struct error *err);

/* A file that appears under its name only when committed. -EEXIST: there is a device or such. */
struct fs_temp {
	int fd;         /* write here; -1 when not open */
	char *tmp_path; /* owned */
	char *path;     /* owned */
};
#define FS_TEMP_INIT                                                                               \
	{                                                                                          \
		-1, NULL, NULL                                                                     \
	}
int fs_temp_open(struct fs_temp *t, const char *path, mode_t mode, struct error *err);
int fs_temp_commit(struct fs_temp *t, struct error *err); /* fsync, rename, close */
void fs_temp_abort(struct fs_temp *t);                    /* unlink; fine after commit */
#define _cleanup_fs_temp_ __attribute__((cleanup(fs_temp_abort)))

int fs_mkdir_p(const char *path, mode_t mode, struct error *err);
/* Removes a tree without following links or crossing descriptors; bounded depth
 * by openat, no recursion limit problems. Missing is success. */
int fs_remove_tree(int dirfd, const char *name, struct error *err);

/* Calls fn for the entry and all below it, parents first, following no links and entering no other
 * file system. A negative return ends the walk and is returned. */
typedef int (*fs_walk_fn)(int dirfd, const char *name, const struct stat *st, void *data);
int fs_walk_tree(int dirfd, const char *name, fs_walk_fn fn, void *data);

int fs_set_nonblock(int fd, bool on);
bool fs_exists(const char *path);
