/* SPDX-License-Identifier: Apache-2.0 */
/* storage_mount: one mount as a storage words it, through the engine's mount calls. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/error.h"

/* Mounts `source` on `target`, which is made: a directory, or a file where a file is bound.
 * Nothing happens when `target` has a mount of that type already. The option "loop" is refused:
 * the guest makes no loop devices of what the host says; words that begin with "X-" are for user
 * space and left out. May block: for helpers. */
int storage_mount(const char *source, const char *target, const char *fstype, char *const *options,
                  size_t n, struct error *err);

/* A mount point below SANDBOX_ROOT must not lead through a symbolic link, which a host can make
 * there (CopyFile, a share): it would be mounted where the request, and a policy, do not say. What
 * does not exist yet is fine. May block. */
int storage_check_links(const char *mount_point, struct error *err);

/* Is something of this type mounted there? NULL: of any type. */
bool storage_is_mounted(const char *target, const char *fstype);

/* How many mounts lie there, one over the other. */
int storage_mounts_at(const char *target, struct error *err);

/* The value of "key=value", the last one; NULL when absent. */
const char *storage_option(char *const *options, size_t n, const char *key);

/* Gives a tree to a group (FSGroup of the protocol): group ownership, group permissions, setgid on
 * directories. With only_if_root_differs nothing when the root is right already. */
int storage_own_by_group(const char *path, gid_t gid, bool only_if_root_differs, struct error *err);

/* Lazily unmounts everything below `path`, the last mounted first. Returns 0 when none is
 * left. */
unsigned int storage_unmount_below(const char *path);
