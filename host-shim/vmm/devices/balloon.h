/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balloon: the traditional memory balloon device (virtio 1.2 §5.5): takes memory from the guest
 * and gives it back, takes what the guest reports as free, and asks for its statistics.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host-shim/vmm/virtio/device.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

/* Tags of statistics, §5.5.6.4. */
enum balloon_stat {
	BALLOON_SWAP_IN,
	BALLOON_SWAP_OUT,
	BALLOON_MAJOR_FAULTS,
	BALLOON_MINOR_FAULTS,
	BALLOON_FREE,
	BALLOON_TOTAL,
	BALLOON_AVAILABLE,
	BALLOON_CACHES,
	BALLOON_HUGE_ALLOCATED,
	BALLOON_HUGE_FAILED,
	BALLOON_STATS
};

struct balloon_stats {
	uint64_t value[BALLOON_STATS]; /* bytes, or events */
	uint32_t present;              /* a bit for each value that the guest told */
};

struct balloon_config {
	/* Only memory of this map is ever given back: the guest's RAM, that of memory devices too
	 * (mem_device_add_memory()), no images. Must outlive the device. */
	const struct guest_memory *ram;
	bool zeros; /* what was given back reads as zeros (it is no private file mapping) */
	bool deflate_on_oom; /* the guest may take pages back before it kills */
	bool free_page_reporting;
	void (*stats)(void *data, const struct balloon_stats *stats); /* NULL: not asked for */
	void *data;
};

int balloon_device_new(struct virtio_device **out, struct loop *loop,
                       const struct balloon_config *config, struct error *err);

/* How much memory the balloon is to hold, in bytes; rounded down to pages of 4 KiB. The guest does
 * it, or not. */
void balloon_device_set_target(struct virtio_device *dev, uint64_t bytes);
/* How much it holds, in bytes, as the guest says. */
uint64_t balloon_device_actual(const struct virtio_device *dev);
/* How many bytes went back to the host, all in all, reports included. */
uint64_t balloon_device_discarded(const struct virtio_device *dev);
/* How many bytes the guest took from a balloon that was to hold them, because it had no other
 * memory (deflate_on_oom). */
uint64_t balloon_device_taken_back(const struct virtio_device *dev);
/* Has fn called when it begins to, once after each balloon_device_set_target(). */
void balloon_device_on_out_of_memory(struct virtio_device *dev, void (*fn)(void *data), void *data);
/* Asks the guest; config->stats is called when it answers. -EAGAIN: it has not answered the last
 * time, or has no driver for this. */
int balloon_device_ask_stats(struct virtio_device *dev);
