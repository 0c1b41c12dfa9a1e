/* SPDX-License-Identifier: Apache-2.0 */
/* mounts: the file systems every guest has, and the links in /dev. */
#pragma once

#include "lib/base/error.h"

/* proc, sysfs, devtmpfs, shm, devpts, /run, /tmp when the root is read-only, cgroup2, mqueue.
 * What is mounted already stays. Fails only for those a guest cannot do without. */
int mounts_setup(struct error *err);

/* Hands every controller of the root cgroup down to its children. 1 when there are no cgroups. */
int mounts_enable_controllers(struct error *err);
