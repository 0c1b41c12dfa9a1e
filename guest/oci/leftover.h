/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leftover: what a create that was killed leaves behind. Its process ends by itself (container.h,
 * container_keep_created()); the folder and the cgroup are taken away by the next who wants the id.
 *
 * Who creates holds a lock on the folder, so that a create under way is not taken for a dead one. A
 * symbolic link in it names the cgroup, from before that is made, unless it is the usual one.
 */
#pragma once

#include "lib/base/error.h"

/* Takes the lock of a folder just made; the descriptor is to be kept open. */
int leftover_lock(const char *id, struct error *err);
/* Where the cgroup of the container will be: `path` as in linux.cgroupsPath; nothing to note when
 * that is empty and the id says it. */
int leftover_note_cgroup(const char *id, const char *path, struct error *err);
/* Removes what is left under this id. 0 also when there is nothing; -EEXIST: it is a container, or
 * becomes one. */
int leftover_remove(const char *id, struct error *err);
