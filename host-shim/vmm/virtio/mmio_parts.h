/* SPDX-License-Identifier: Apache-2.0 */
/* mmio_parts: what mmio.c and mmio_state.c share: the inside of a virtio-mmio transport. */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "host-shim/vmm/virtio/mmio.h"

/* Device status, §2.1. */
#define STATUS_DRIVER      2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u
#define STATUS_NEEDS_RESET 64u
#define STATUS_KNOWN       (1u | STATUS_DRIVER | STATUS_DRIVER_OK | STATUS_FEATURES_OK | 128u)
/* InterruptStatus, §4.2.2. */
#define ISR_USED   1u
#define ISR_CONFIG 2u
#define ISR_KNOWN  (ISR_USED | ISR_CONFIG)

struct mmio_queue {
	struct virtio_mmio *m;
	uint32_t num, ready;
	uint64_t desc, driver, device; /* guest-physical */
	int kick_fd;
	struct loop_source *kick;
	uint64_t notifications, interrupts; /* the device thread's */
};

struct virtio_mmio {
	struct virtio_mmio_config config;
	struct virtio_device *dev; /* NULL: a placeholder */
	pthread_mutex_t lock;      /* of what follows */
	uint32_t device_sel, driver_sel, queue_sel, status;
	uint32_t looks;    /* at the status since it was written last, while the device works */
	uint64_t asked_ns; /* read without the lock, too */
	uint64_t driver_features;
	struct mmio_queue queues[VIRTIO_QUEUES_MAX];
	int irq_fd;
	/* Set by the device thread, which never takes the lock. */
	uint32_t isr, broken;
};

/* The driver took only what the device offers, and VERSION_1 (§2.2.2). */
bool virtio_mmio_features_fit(const struct virtio_mmio *m);
