/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem: the virtio memory device (virtio 1.2 §5.15): memory that a guest gets and gives back in
 * blocks while it runs.
 *
 * The region is mapped here all the time. What keeps an unplugged block from being used is that the
 * guest has no memory slot there and no request is under way there (config->set), and that no new
 * descriptor reaches it (mem_device_add_memory()).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host-shim/vmm/virtio/device.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

#define MEM_BLOCK_MIN (2ull << 20)

struct mem_config {
	uint64_t gpa, size; /* of the region: multiples of block */
	uint64_t block;     /* bytes, a power of two from MEM_BLOCK_MIN */
	uint64_t requested; /* bytes plugged to begin with, as far as the guest does it */
	uint8_t *host;      /* the region, mapped readable and writable; stays the caller's */
	/* The guest is to have (`on`) these bytes as memory, or no more: then no device may go on
	 * writing there when this returns. A negative errno: not now. NULL: it has all of them, and
	 * may make the process grow beyond what was asked for. */
	int (*set)(void *data, uint64_t gpa, uint64_t size, bool on);
	void *data;
};

int mem_device_new(struct virtio_device **out, struct loop *loop, const struct mem_config *config,
                   struct error *err);

/* Adds the region to the map that queues use; the device must live as long as the map. */
int mem_device_add_memory(struct virtio_device *dev, struct guest_memory *m, struct error *err);

/* Another size is wanted: -EINVAL unless it is a multiple of the block, at most the region. */
int mem_device_resize(struct virtio_device *dev, uint64_t bytes, struct error *err);

uint64_t mem_device_plugged(const struct virtio_device *dev); /* bytes */

/* The machine is reset (§5.15.6.2), which a reset of the device is not: all blocks are unplugged.
 */
void mem_device_system_reset(struct virtio_device *dev);
