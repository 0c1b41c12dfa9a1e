/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_bench: a virtio device model on plain memory and a driver for it that is written by hand
 * from virtio 1.2 §2.7: chains, indirect tables, kicks, used rings; for tests and fuzzers.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-shim/vmm/devices/io_pool.h"
#include "host-shim/vmm/virtio/device.h"
#include "lib/base/bytes.h"
#include "lib/base/loop.h"
#include "tests/unit/virtq_driver.h"

#define VBENCH_RING_GAP  0x10000u
#define VBENCH_HEAP      0x80000u /* offset of memory for buffers, to the end of DRIVER_SIZE */
#define VBENCH_HEAP_SIZE (DRIVER_SIZE - VBENCH_HEAP)

struct vbench {
	uint8_t *ram;
	int ram_fd; /* -1: memory that no other process can have */
	struct guest_memory memory;
	struct loop *loop;
	struct io_pool *pool;
	struct virtio_device *dev;
	struct driver_ring ring[VIRTIO_QUEUES_MAX];
	uint16_t next_desc[VIRTIO_QUEUES_MAX];
	uint32_t heap; /* bytes of the heap in use */
	uint64_t features;
	uint16_t size;
	unsigned int interrupts[VIRTIO_QUEUES_MAX], config_changes;
	const char *needs_reset;
};

/* A buffer of a chain: from `data` (NULL: zeros) or, with gpa, wherever the guest says. */
struct vbench_part {
	const void *data;
	uint32_t len;
	bool write;   /* for the device to write */
	uint64_t gpa; /* 0: the bench's heap */
};

static inline void vbench_interrupt(void *data, unsigned int queue)
{
	((struct vbench *)data)->interrupts[queue]++;
}

static inline void vbench_needs_reset(void *data, const char *why)
{
	((struct vbench *)data)->needs_reset = why;
}

static inline void vbench_config_changed(void *data)
{
	((struct vbench *)data)->config_changes++;
}

/* Memory (a memfd when it is shared) and a loop; threads of the storage pool, 0 for none. The
 * caller makes the device. */
static inline void vbench_init_memory(struct vbench *b, unsigned int threads, bool shared)
{
	memset(b, 0, sizeof(*b));
	b->ram_fd = shared ? memfd_create("bench", MFD_CLOEXEC) : -1;
	if (!shared)
		b->ram = calloc(1, DRIVER_SIZE);
	else if (b->ram_fd < 0 || ftruncate(b->ram_fd, DRIVER_SIZE) ||
	         (b->ram = mmap(NULL, DRIVER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, b->ram_fd,
	                        0)) == MAP_FAILED)
		abort();
	if (!b->ram || guest_memory_add(&b->memory, DRIVER_GPA, DRIVER_SIZE, b->ram, false, NULL) ||
	    loop_new(&b->loop, NULL) || io_pool_new(&b->pool, b->loop, threads, NULL))
		abort();
}

static inline void vbench_init(struct vbench *b, unsigned int threads)
{
	vbench_init_memory(b, threads, false);
}

/* What a transport does up to DRIVER_OK: all queues, `features` as far as they are offered. */
static inline void vbench_start(struct vbench *b, uint16_t size, uint64_t features)
{
	b->size = size;
	b->features = features & virtio_device_features(b->dev);
	b->dev->transport = (struct virtio_transport){.interrupt = vbench_interrupt,
	                                              .needs_reset = vbench_needs_reset,
	                                              .config_changed = vbench_config_changed,
	                                              .data = b};
	b->dev->negotiated = b->features;
	b->needs_reset = NULL;
	for (unsigned int i = 0; i < b->dev->ops->n_queues; i++) {
		struct virtqueue_layout l;

		b->ring[i] =
		    (struct driver_ring){.base = b->ram, .at = i * VBENCH_RING_GAP, .size = size};
		memset(b->ram + b->ring[i].at, 0, 0x8000);
		b->next_desc[i] = 0;
		l = driver_layout(&b->ring[i], b->features);
		if (virtqueue_start(&b->dev->queues[i], &b->memory, &l, NULL))
			abort();
	}
	virtio_device_activate(b->dev);
}

static inline void vbench_stop(struct vbench *b)
{
	virtio_device_free(b->dev);
	io_pool_free(b->pool);
	loop_free(b->loop);
	guest_memory_clear(&b->memory);
	if (b->ram_fd < 0) {
		free(b->ram);
	} else {
		munmap(b->ram, DRIVER_SIZE);
		close(b->ram_fd);
	}
}

static inline void vbench_leave_now(void *data)
{
	loop_exit(data, 0);
}

/* Lets the loop handle what is ready; never sleeps. */
static inline void vbench_turn_now(struct vbench *b)
{
	loop_defer(b->loop, vbench_leave_now, b->loop);
	loop_run(b->loop, NULL);
}

static inline void vbench_leave(struct loop_source *src, void *data)
{
	loop_exit(data, 0);
}

/* What is ready, what comes of that, and what comes within `ms`. */
static inline void vbench_turn(struct vbench *b, uint64_t ms)
{
	struct loop_source *timer;

	for (int i = 0; i < 4; i++)
		vbench_turn_now(b);
	if (loop_add_timer(b->loop, ms, vbench_leave, b->loop, &timer, NULL))
		abort();
	loop_run(b->loop, NULL);
	loop_source_free(timer);
}

/* Room in the heap; where it is in the guest's addresses. The heap starts over when it is full. */
static inline uint64_t vbench_alloc(struct vbench *b, const void *data, uint32_t len)
{
	uint32_t at;

	if (len > VBENCH_HEAP_SIZE)
		abort();
	if (b->heap + len > VBENCH_HEAP_SIZE)
		b->heap = 0;
	at = VBENCH_HEAP + b->heap;
	b->heap += (len + 15u) & ~15u;
	if (data)
		memcpy(b->ram + at, data, len);
	else
		memset(b->ram + at, 0, len);
	return DRIVER_GPA + at;
}

static inline uint8_t *vbench_host(struct vbench *b, uint64_t gpa)
{
	return b->ram + (gpa - DRIVER_GPA);
}

/* Writes n descriptors into a table, chained, and fills in the parts' addresses. */
static inline void vbench_table(struct vbench *b, uint8_t *table, uint16_t first, uint16_t modulo,
                                struct vbench_part *parts, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		uint16_t at = (uint16_t)((first + i) % modulo);
		struct vq_desc d = {.len = parts[i].len, .next = (uint16_t)((at + 1) % modulo)};

		if (!parts[i].gpa)
			parts[i].gpa = vbench_alloc(b, parts[i].data, parts[i].len);
		d.addr = parts[i].gpa;
		d.flags = (uint16_t)((parts[i].write ? VIRTQ_DESC_F_WRITE : 0) |
		                     (i + 1 < n ? VIRTQ_DESC_F_NEXT : 0));
		memcpy(table + 16 * at, &d, 16);
	}
}

/* Offers a chain without a kick; its head. At most a ring's worth may be outstanding. */
static inline uint16_t vbench_offer(struct vbench *b, unsigned int queue, struct vbench_part *parts,
                                    unsigned int n)
{
	struct driver_ring *r = &b->ring[queue];
	uint16_t head = b->next_desc[queue];

	vbench_table(b, r->base + r->at, head, r->size, parts, n);
	b->next_desc[queue] = (uint16_t)((head + n) % r->size);
	driver_offer(r, head);
	return head;
}

/* The same through one indirect table. */
static inline uint16_t vbench_offer_indirect(struct vbench *b, unsigned int queue,
                                             struct vbench_part *parts, unsigned int n)
{
	struct driver_ring *r = &b->ring[queue];
	uint16_t head = b->next_desc[queue];
	uint64_t table = vbench_alloc(b, NULL, 16 * n);

	vbench_table(b, vbench_host(b, table), 0, (uint16_t)n, parts, n);
	driver_put_desc(r, head, (struct vq_desc){table, 16 * n, VIRTQ_DESC_F_INDIRECT, 0});
	b->next_desc[queue] = (uint16_t)((head + 1) % r->size);
	driver_offer(r, head);
	return head;
}

static inline void vbench_kick(struct vbench *b, unsigned int queue)
{
	virtio_device_notify(b->dev, queue);
}

/* The next used chain: its head and bytes written, waiting up to a minute for it; -1: none came. */
static inline int vbench_wait(struct vbench *b, unsigned int queue, uint32_t *len)
{
	uint32_t id;

	for (int i = 0; i < 60000; i++) {
		if (driver_take(&b->ring[queue], &id, len))
			return (int)id;
		if (b->needs_reset)
			return -1;
		vbench_turn(b, 1);
	}
	return -1;
}

/* Whether a chain is used already; for "nothing happened". */
static inline bool vbench_used(struct vbench *b, unsigned int queue)
{
	return b->ring[queue].seen != driver_used_idx(&b->ring[queue]);
}

/* A chain, a kick, the answer: bytes written, or -1. */
static inline int64_t vbench_request(struct vbench *b, unsigned int queue,
                                     struct vbench_part *parts, unsigned int n)
{
	uint16_t head = vbench_offer(b, queue, parts, n);
	uint32_t len;

	vbench_kick(b, queue);
	return vbench_wait(b, queue, &len) == head ? (int64_t)len : -1;
}
