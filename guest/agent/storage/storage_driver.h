/* SPDX-License-Identifier: Apache-2.0 */
/* storage_driver: what a storage driver of the protocol does; the table is in storage_drivers.c. */
#pragma once

#include <stdbool.h>

#include "guest/agent/device/device_find.h"
#include "lib/rpc/proto/agent.pb-c.h"

/* What a driver gets in its helper. */
struct storage_mount_args {
	const Grpc__Storage *request;
	const char *source; /* "/dev/vda" when a device was waited for, else request->source */
	const char *container_id; /* "": the sandbox's */
	unsigned int number;      /* no other storage of this sandbox has it */
};

#define STORAGE_REFRESH_MS 2000u /* as Kata's agent looks at watchable mounts */

struct storage_driver {
	const char *name;
	/* Which device to wait for. 1: none (the node is there, or none is needed). NULL: none. */
	int (*device)(const Grpc__Storage *request, struct device_key *key,
	              const struct uevent_matcher **matcher, struct error *err);
	/* Runs in a helper; on failure it leaves nothing mounted. NULL: the image puller's way. */
	int (*mount)(const struct storage_mount_args *args, struct error *err);
	bool directory; /* makes a directory, not a mount */
	bool block;     /* of a block device, which may be a layer, a partition, verified */
	/* What mount did is done again every STORAGE_REFRESH_MS, in a helper. NULL: nothing. */
	int (*refresh)(const char *source, const char *mount_point, struct error *err);
};

const struct storage_driver *storage_driver_find(const char *name);
/* The same by what a storage is: a pause container's image is not pulled. */
const struct storage_driver *storage_driver_of(const Grpc__Storage *request);
