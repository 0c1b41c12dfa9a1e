/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue: the device's side of a split virtqueue (virtio 1.2 §2.7).
 *
 * The rings are the guest's memory and may hold anything: each descriptor is
 * read once into a copy, every index, address, length and chain is bounded. A
 * ring that breaks the rules marks the queue broken with the reason, and
 * nothing more is read from it or written to it until it is set up again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "host-shim/vmm/memory.h"
#include "lib/base/error.h"

/* QEMU's virtio-mmio offers queues of 1024 entries; §2.7 allows 32768. */
#define VIRTQUEUE_SIZE_MAX 1024

#define VIRTQ_DESC_F_NEXT     1
#define VIRTQ_DESC_F_WRITE    2
#define VIRTQ_DESC_F_INDIRECT 4

#define VIRTQ_AVAIL_F_NO_INTERRUPT 1
#define VIRTQ_USED_F_NO_NOTIFY     1

#define VIRTIO_F_INDIRECT_DESC 28
#define VIRTIO_F_EVENT_IDX     29
#define VIRTIO_F_VERSION_1     32

/* What went through a queue since its device was made; resets do not begin anew. */
struct virtqueue_counters {
	uint64_t chains;        /* taken from the driver */
	uint64_t read, written; /* bytes of them: the driver's, and what the device wrote */
};

struct virtqueue {
	const struct guest_memory *memory;
	const uint8_t *desc; /* 16 bytes an entry */
	const uint8_t *avail;
	uint8_t *used;
	uint16_t size;
	uint16_t next_avail; /* the next entry of the available ring to read */
	uint16_t next_used;
	uint16_t signalled; /* next_used when the driver was last interrupted */
	bool signalled_valid;
	bool indirect;  /* VIRTIO_F_INDIRECT_DESC was negotiated */
	bool event_idx; /* VIRTIO_F_EVENT_IDX was negotiated */
	bool ready;
	bool held;          /* looks empty to the device, which is paused */
	const char *broken; /* NULL, or the rule that the ring broke */
	struct virtqueue_counters counters;
	uint64_t last_read; /* bytes of the chain that was popped last */
};

/* One buffer: device-readable pieces first, then device-writable ones (§2.7.4.2). */
struct virtqueue_chain {
	uint16_t head;
	uint16_t n_read, n_write;
	size_t read_size, write_size; /* bytes */
	struct iovec iov[VIRTQUEUE_SIZE_MAX];
};

static inline const struct iovec *chain_readable(const struct virtqueue_chain *c)
{
	return c->iov;
}

static inline const struct iovec *chain_writable(const struct virtqueue_chain *c)
{
	return c->iov + c->n_read;
}

struct virtqueue_layout {
	uint16_t size;              /* a power of two, at most VIRTQUEUE_SIZE_MAX */
	uint64_t desc, avail, used; /* guest-physical, aligned 16, 2, 4 (§2.7) */
	uint16_t next_avail;        /* where to go on; 0 for a fresh queue */
	uint64_t features;          /* as negotiated, for the bits above */
};

/* Checks the layout against the memory and makes the queue ready. The memory must stay
 * mapped until virtqueue_stop(). On -EINVAL the queue is not ready. */
int virtqueue_start(struct virtqueue *q, const struct guest_memory *memory,
                    const struct virtqueue_layout *layout, struct error *err);
void virtqueue_stop(struct virtqueue *q);

/* The driver's count of chains that it made available, ever, modulo 2^16; 0: the queue is not
 * ready. */
uint16_t virtqueue_offered(const struct virtqueue *q);
/* Takes the next available chain: 1 taken, 0 none (or not ready), -EPROTO: the queue is or
 * becomes broken, see q->broken. */
int virtqueue_pop(struct virtqueue *q, struct virtqueue_chain *c);

/* Puts the chain that was popped last back; nothing may have been popped since. */
void virtqueue_unpop(struct virtqueue *q);

/* Returns a chain to the driver with `written` bytes written from the beginning of its
 * writable part (§2.7.8). The driver does not see it before virtqueue_publish(). */
void virtqueue_push(struct virtqueue *q, uint16_t head, uint32_t written);

/* Shows the driver what was pushed; true when it wants an interrupt for it (§2.7.7). */
bool virtqueue_publish(struct virtqueue *q);

/* Asks the driver not to notify, or to notify again (§2.7.10). Enabling returns true when
 * chains arrived meanwhile: the caller must look again. */
void virtqueue_notify_off(struct virtqueue *q);
bool virtqueue_notify_on(struct virtqueue *q);
/* The same for who leaves chains where they are: when the driver has made available more than
 * virtqueue_offered() was then. */
bool virtqueue_notify_beyond(struct virtqueue *q, uint16_t offered);
