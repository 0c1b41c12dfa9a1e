/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer_group: a root file system of several storages: read-only layers, the topmost first, and a
 * writable one; one overlay, one storage of the container.
 *
 * Layers are mounted below SANDBOX_ROOT/CONTAINER/multi-layer: lower ones by number, the upper at
 * "upper", where the overlay's "upper" and "work" are. Without an upper storage that is memory of
 * the guest.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "guest/agent/storage/layer_options.h"
#include "lib/rpc/proto/agent.pb-c.h"

#define LAYER_GROUP_MAX 500u /* lower layers of an overlay: OVL_MAX_STACK of the kernel */

struct layer {
	const Grpc__Storage *request;
	struct layer_options options;
	char source[64]; /* the node of the device that was waited for; "": request's */
};

struct layer_group {
	const Grpc__Storage *main; /* has the mount point: the upper, else the first */
	size_t n_lower;
	bool has_upper;
	size_t n;
	char *base;
	unsigned int number;   /* of the first layer, for names of devices */
	struct layer layers[]; /* lower ones in their order, then the upper */
};

/* Takes all layers out of a list of storages, which must outlive it. -EINVAL, -E2BIG, -ENOMEM. */
int layer_group_new(Grpc__Storage *const *list, size_t n, const char *container_id,
                    unsigned int first_number, struct layer_group **out, struct error *err);
void layer_group_free(struct layer_group *g);

/* Mounts all and stacks them; what a failure leaves, layer_group_unmount() takes away. For helpers.
 */
int layer_group_mount(const struct layer_group *g, struct error *err);

/* Unmounts the layers below `base` once the overlay is gone, and removes it. For helpers. */
int layer_group_unmount(const char *base, struct error *err);
