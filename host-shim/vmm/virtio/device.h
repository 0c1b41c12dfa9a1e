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
#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#define VIRTIO_QUEUES_MAX 8

/* Device ids, virtio 1.2 §5. */
#define VIRTIO_ID_VSOCK 19

struct virtio_device;

/* What a device asks of its transport. Members may be NULL. */
struct virtio_transport {
	void (*interrupt)(void *data, unsigned int queue); /* used buffers, §2.3 */
	void (*needs_reset)(void *data, const char *why);  /* DEVICE_NEEDS_RESET, §2.1 */
	void *data;
};

struct virtio_device_ops {
	const char *name; /* "vsock" */
	uint32_t id;
	unsigned int n_queues;
	uint64_t features; /* offered, VIRTIO_F_VERSION_1 and the ring's bits included */
	/* Copies bytes of the configuration space (§2.5); bytes beyond it read as 0. */
	void (*config_read)(struct virtio_device *dev, size_t offset, void *to, size_t size);
	/* The driver is ready (DRIVER_OK) and the queues it uses are started. */
	void (*activate)(struct virtio_device *dev);
	void (*queue_notify)(struct virtio_device *dev, unsigned int queue);
	/* Back to the state after creation; must not touch the queues any more. */
	void (*reset)(struct virtio_device *dev);
	void (*free)(struct virtio_device *dev);
};

/* The first member of each model's own structure. */
struct virtio_device {
	const struct virtio_device_ops *ops;
	struct virtio_transport transport;
	struct virtqueue queues[VIRTIO_QUEUES_MAX]; /* started and stopped by the transport */
	bool active;
	bool needs_reset;
};

void virtio_device_free(struct virtio_device *dev); /* NULL is fine */
DEFINE_CLEANUP(struct virtio_device, virtio_device, virtio_device_free)
#define _cleanup_virtio_device_ _cleanup_(cleanup_virtio_device)

void virtio_device_activate(struct virtio_device *dev);
void virtio_device_notify(struct virtio_device *dev, unsigned int queue);
/* Stops all queues too. */
void virtio_device_reset(struct virtio_device *dev);

/* For models: publish what was pushed and interrupt the driver if it wants that. */
void virtio_device_publish(struct virtio_device *dev, unsigned int queue);
/* For models: the driver broke the rules; the device does nothing more until reset. */
void virtio_device_broken(struct virtio_device *dev, const char *why);
