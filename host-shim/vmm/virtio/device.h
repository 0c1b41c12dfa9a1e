/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device: what a virtio device model is to the transports that carry it.
 *
 * A device sees its queues and the guest's memory, nothing of how the guest
 * reaches it: vhost-user below QEMU and virtio-mmio in the built-in monitor
 * drive the same model. All calls come from the one thread that runs its loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-shim/vmm/memory.h"
#include "host-shim/vmm/virtio/queue.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#define VIRTIO_QUEUES_MAX 8

/* Device ids, virtio 1.2 §5. */
#define VIRTIO_ID_NET     1
#define VIRTIO_ID_BLOCK   2
#define VIRTIO_ID_CONSOLE 3
#define VIRTIO_ID_RNG     4
#define VIRTIO_ID_BALLOON 5
#define VIRTIO_ID_VSOCK   19
#define VIRTIO_ID_MEM     24
#define VIRTIO_ID_FS      26
#define VIRTIO_ID_PMEM    27

/* What every model offers (§6): modern, and all that struct virtqueue knows. */
#define VIRTIO_COMMON_FEATURES                                                                     \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX)

struct virtio_device;

/* What a device asks of its transport. Members may be NULL. */
struct virtio_transport {
	void (*interrupt)(void *data, unsigned int queue); /* used buffers, §2.3 */
	void (*needs_reset)(void *data, const char *why);  /* DEVICE_NEEDS_RESET, §2.1 */
	void (*config_changed)(void *data);                /* configuration change, §2.3 */
	void *data;
};

struct virtio_device_ops {
	const char *name; /* "vsock" */
	uint32_t id;
	unsigned int n_queues;
	uint64_t features;   /* offered, VIRTIO_F_VERSION_1 and the ring's bits included; the
	                      * transport asks virtio_device_features() */
	uint16_t queue_size; /* the most entries of a queue; 0: VIRTQUEUE_SIZE_MAX */
	/* Copies bytes of the configuration space (§2.5); bytes beyond it read as 0. */
	void (*config_read)(struct virtio_device *dev, size_t offset, void *to, size_t size);
	/* The driver writes the configuration space, at any time (§5.3.5.1 wants that even of a
	 * device that needs a reset); NULL: nothing there is writable. Of bytes that are
	 * read-only or beyond the end nothing is taken (§2.5.1). */
	void (*config_write)(struct virtio_device *dev, size_t offset, const void *from,
	                     size_t size);
	/* The driver is ready (DRIVER_OK) and the queues it uses are started; NULL: as if each had
	 * been notified. */
	void (*activate)(struct virtio_device *dev);
	void (*queue_notify)(struct virtio_device *dev, unsigned int queue);
	/* One queue is about to be stopped; NULL: nobody else serves it. */
	void (*stop_queue)(struct virtio_device *dev, unsigned int queue);
	/* Back to the state after creation; must not touch the queues any more. */
	void (*reset)(struct virtio_device *dev);
	void (*free)(struct virtio_device *dev);
	/* Waits until no request is under way outside of the queues; NULL: none ever is. */
	void (*quiesce)(struct virtio_device *dev);
	/* State beyond queues, features and what the device is made with, for a snapshot; both or
	 * neither. restore() gets what save() wrote, before activate; -EPROTO when it cannot be. */
	void (*save)(struct virtio_device *dev, struct buffer *to);
	int (*restore)(struct virtio_device *dev, struct reader *from, struct error *err);
	/* Its state is in another process: it cannot be saved. */
	bool unsavable;
};

/* The first member of each model's own structure. */
struct virtio_device {
	const struct virtio_device_ops *ops;
	struct virtio_transport transport;
	uint64_t features;          /* offered by this instance beyond ops->features */
	uint64_t negotiated;        /* the driver's bits, set by the transport before activate */
	uint32_t config_generation; /* §2.5: counts changes that the device made */
	struct virtqueue queues[VIRTIO_QUEUES_MAX]; /* started and stopped by the transport */
	bool active;
	bool needs_reset;
	uint64_t answered_ns; /* CLOCK_MONOTONIC: a program in the guest first answered; or 0 */
};

void virtio_device_free(struct virtio_device *dev); /* NULL is fine */
DEFINE_CLEANUP(struct virtio_device, virtio_device, virtio_device_free)
#define _cleanup_virtio_device_ _cleanup_(cleanup_virtio_device)

static inline uint64_t virtio_device_features(const struct virtio_device *dev)
{
	return dev->ops->features | dev->features;
}

static inline uint16_t virtio_device_queue_size(const struct virtio_device *dev)
{
	return dev->ops->queue_size ? dev->ops->queue_size : VIRTQUEUE_SIZE_MAX;
}

static inline bool virtio_device_has(const struct virtio_device *dev, unsigned int feature)
{
	return dev->negotiated >> feature & 1;
}

void virtio_device_config_read(struct virtio_device *dev, size_t offset, void *to, size_t size);
void virtio_device_config_write(struct virtio_device *dev, size_t offset, const void *from,
                                size_t size);
void virtio_device_activate(struct virtio_device *dev);
void virtio_device_notify(struct virtio_device *dev, unsigned int queue);
/* The driver takes one queue back: neither its rings nor the buffers of its requests are touched
 * when this returns (§4.2.2.1). */
void virtio_device_stop_queue(struct virtio_device *dev, unsigned int queue);
/* Stops all queues and forgets what was negotiated, too. */
void virtio_device_reset(struct virtio_device *dev);

/* The device takes no chains any more, and none is under way when this returns: queues, features
 * and what virtio_device_save() writes are all there is to it. Resuming looks at all queues again.
 */
void virtio_device_pause(struct virtio_device *dev);
void virtio_device_resume(struct virtio_device *dev);

/* The memory from `host` on is about to go: a paused device whose rings lie in it, as hostile
 * guests have them, stops and needs a reset. */
void virtio_device_lose_memory(struct virtio_device *dev, const uint8_t *host, uint64_t size);

/* A paused device's own state; -ENOTSUP with the reason. */
int virtio_device_save(struct virtio_device *dev, struct buffer *to, struct error *err);
/* Into a new device of the same settings; the transport then starts its queues and activates it.
 * -EPROTO: the bytes are not what such a device saves. */
int virtio_device_restore(struct virtio_device *dev, struct reader *from, struct error *err);

/* For models: publish what was pushed and interrupt the driver if it wants that. */
void virtio_device_publish(struct virtio_device *dev, unsigned int queue);
/* For models: the configuration space holds something new; tells the driver. */
void virtio_device_config_changed(struct virtio_device *dev);
/* For models: the same, but the driver is not told (processors' threads read the count). */
static inline void virtio_device_config_count(struct virtio_device *dev)
{
	__atomic_add_fetch(&dev->config_generation, 1, __ATOMIC_SEQ_CST);
}
/* For models: config_read() of a space that is `have` bytes at `config`. */
void virtio_config_copy(const void *config, size_t have, size_t offset, void *to, size_t size);
/* For models: the driver broke the rules; the device does nothing more until reset. */
void virtio_device_broken(struct virtio_device *dev, const char *why);

/* What a model did with a chain that virtio_device_drain() gave it. */
enum virtio_took {
	VIRTIO_TAKEN,  /* pushed, or kept to be pushed later */
	VIRTIO_LATER,  /* not now: it goes back and the draining ends */
	VIRTIO_BROKEN, /* the model called virtio_device_broken() */
};
typedef enum virtio_took (*virtio_take_fn)(struct virtio_device *dev, unsigned int queue,
                                           struct virtqueue_chain *c);

/* For models: hands over the queue's chains, at most `budget` of them, and publishes what was
 * pushed. True when chains may be left because the budget was used up: other sources of the loop
 * get their turn, then call again. */
bool virtio_device_drain(struct virtio_device *dev, unsigned int queue, unsigned int budget,
                         virtio_take_fn take);
