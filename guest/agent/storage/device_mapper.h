/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_mapper: devices of one target, made through /dev/mapper/control, that go away by
 * themselves.
 *
 * Each is marked for removal as soon as it is open (DM_DEFERRED_REMOVE): the kernel takes it away
 * with its last user, be that the mount on it, or this process, however it ends. May block.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define DM_NODE_MAX 32 /* "/dev/dm-N" and its NUL */

struct dm_target {
	const char *name;   /* of the device: for people; a left-over of this name is replaced */
	const char *type;   /* "verity" */
	const char *params; /* as the target's documentation has them */
	uint64_t sectors;   /* of 512 bytes */
};

/* A read-only device. Returns a descriptor, which keeps it, and its node. -ENOENT: the kernel
 * lacks the target or what it needs; -ENODEV: it has no device-mapper. */
int device_mapper_open(const struct dm_target *target, char node[DM_NODE_MAX], struct error *err);
