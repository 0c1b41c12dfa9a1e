/* SPDX-License-Identifier: Apache-2.0 */
/* layer_device: the block device that is mounted for a storage: a partition of the one that the
 * host gave, or a dm-verity device on either. May block: for helpers. */
#pragma once

#include <stddef.h>

#include "guest/agent/storage/layer_options.h"
#include "lib/base/bytes.h"
#include "lib/disk/gpt.h"

#define LAYER_NODE_MAX 80

struct layer_device {
	char node[LAYER_NODE_MAX];
	int fd; /* keeps a verity device until it is mounted; -1: none */
};

/* tag names the verity device among others: letters, digits, '-'. Close out->fd once `node` is
 * mounted: the verity device goes with the mount. -EBADMSG (kind verification): its beginning does
 * not hold against the root hash. */
int layer_device_open(const char *device, const struct layer_options *o, const char *tag,
                      struct layer_device *out, struct error *err);

/* The node of a partition that the table on `disk_fd` has: the kernel's own, whose sysfs folder
 * must agree with the table, or else one that is made here (BLKPG). */
int layer_partition_node(const char *sysfs, int disk_fd, const char *device,
                         const struct gpt_partition *p, char node[LAYER_NODE_MAX],
                         struct error *err);

/* The parameters of the kernel's target (Documentation/admin-guide/device-mapper/verity.rst) for
 * data and tree on the device "MAJOR:MINOR" of `size` bytes; `super` is what begins at the hash
 * offset (512 bytes), unused without a superblock. */
int layer_verity_table(const struct layer_verity *v, const char *device, uint64_t size,
                       const uint8_t *super, struct buffer *params, uint64_t *sectors,
                       struct error *err);
