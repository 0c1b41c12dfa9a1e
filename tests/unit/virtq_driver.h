/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtq_driver: the driver's side of split virtqueues on plain memory, written from
 * virtio 1.2 §2.7 independently of the device's side, for tests and fuzzers.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host-shim/vmm/virtio/queue.h"

#define DRIVER_GPA  0x100000ull
#define DRIVER_SIZE (1u << 20)

/* A ring with everything at fixed places of one block of guest memory. */
struct driver_ring {
	uint8_t *base; /* of the guest memory */
	uint64_t at;   /* offset of this ring's 64 KiB */
	uint16_t size;
	uint16_t next, seen; /* available index; used index already looked at */
};

struct vq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static inline uint8_t *driver_desc(struct driver_ring *d, unsigned int i)
{
	return d->base + d->at + 16 * i;
}

static inline uint8_t *driver_avail(struct driver_ring *d)
{
	return d->base + d->at + 0x4000;
}

static inline uint8_t *driver_used(struct driver_ring *d)
{
	return d->base + d->at + 0x6000;
}

/* Offset of data memory of the ring: 32 KiB. */
static inline uint64_t driver_data(const struct driver_ring *d)
{
	return d->at + 0x8000;
}

static inline struct virtqueue_layout driver_layout(const struct driver_ring *d, uint64_t features)
{
	return (struct virtqueue_layout){.size = d->size,
	                                 .desc = DRIVER_GPA + d->at,
	                                 .avail = DRIVER_GPA + d->at + 0x4000,
	                                 .used = DRIVER_GPA + d->at + 0x6000,
	                                 .features = features};
}

static inline void driver_put_desc(struct driver_ring *d, unsigned int i, struct vq_desc v)
{
	memcpy(driver_desc(d, i), &v, 16);
}

static inline void driver_offer(struct driver_ring *d, uint16_t head)
{
	uint16_t idx;

	memcpy(driver_avail(d) + 4 + 2 * (d->next % d->size), &head, 2);
	d->next++;
	idx = d->next;
	memcpy(driver_avail(d) + 2, &idx, 2);
}

static inline uint16_t driver_used_idx(struct driver_ring *d)
{
	uint16_t idx;

	memcpy(&idx, driver_used(d) + 2, 2);
	return idx;
}

/* The next used element: 1 and its id and length, or 0. */
static inline int driver_take(struct driver_ring *d, uint32_t *id, uint32_t *len)
{
	uint8_t *e = driver_used(d) + 4 + 8 * (d->seen % d->size);

	if (d->seen == driver_used_idx(d))
		return 0;
	memcpy(id, e, 4);
	memcpy(len, e + 4, 4);
	d->seen++;
	return 1;
}
