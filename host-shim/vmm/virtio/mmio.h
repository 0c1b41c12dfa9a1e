/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmio: a virtio device behind memory-mapped registers (virtio 1.2 §4.2).
 *
 * Registers are read and written on processors' threads, one access of a transport at a time;
 * whatever concerns the device model is handed to the device thread and waited for. Notifications
 * and interrupts are eventfds: with KVM they reach the device thread and the guest without a
 * processor's thread. A transport without a device is a placeholder (DeviceID 0, §4.2.2), which
 * can be filled while the guest runs.
 */
#pragma once

#include <stdint.h>

#include "host-shim/vmm/bus.h"
#include "host-shim/vmm/snapshot.h"
#include "host-shim/vmm/virtio/device.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

#define VIRTIO_MMIO_QUEUE_NOTIFY 0x50u /* the register that ioeventfds watch */
/* A driver fills its receive queue with buffers: more entries are only memory. */
#define VIRTIO_MMIO_QUEUE_SIZE_MAX 256

struct virtio_mmio;

struct virtio_mmio_config {
	struct loop *loop; /* of the device thread */
	const struct guest_memory *memory;
	/* Has the device thread run fn(fn_data) and returns when it has; false: it never will,
	 * because the machine ends. NULL: the caller is the device thread. */
	bool (*call)(void *data, void (*fn)(void *fn_data), void *fn_data);
	void *call_data;
};

int virtio_mmio_new(struct virtio_mmio **out, const struct virtio_mmio_config *config,
                    struct error *err);
/* Resets the device; it stays the caller's. NULL is fine. */
void virtio_mmio_free(struct virtio_mmio *m);
DEFINE_CLEANUP(struct virtio_mmio, virtio_mmio, virtio_mmio_free)
#define _cleanup_virtio_mmio_ _cleanup_(cleanup_virtio_mmio)

/* Fills the placeholder, or with NULL makes it one again (the device is reset first). On the
 * device thread. The device must outlive its stay here. -EBUSY: there is one already, or the
 * device is in another slot. */
int virtio_mmio_plug(struct virtio_mmio *m, struct virtio_device *dev, struct error *err);

/* Registers at offsets 0 to 0xfff; the data of the bus range is the transport. */
extern const struct bus_ops virtio_mmio_bus;

/* The driver notifies queue `queue`; the device interrupts. They are the transport's. */
int virtio_mmio_kick_fd(const struct virtio_mmio *m, unsigned int queue);
int virtio_mmio_irq_fd(const struct virtio_mmio *m);
struct virtio_device *virtio_mmio_device(const struct virtio_mmio *m);
/* Whether a driver has the device (§2.1, DRIVER). While no processor runs. */
bool virtio_mmio_in_use(const struct virtio_mmio *m);
/* When a program in the guest first asked for the status of the device while it works, which is how
 * process 1 says that it runs (guest/init/started.h); loop_now_ns(), 0: none has. Any thread. */
uint64_t virtio_mmio_asked_ns(const struct virtio_mmio *m);
/* How often the queue's doorbell was answered, and its interrupt raised, since the device came. */
void virtio_mmio_counters(const struct virtio_mmio *m, unsigned int queue, uint64_t *notifications,
                          uint64_t *interrupts);

/* For snapshots, while no processor runs and the device is paused: registers, queues and the
 * model's own state go into an open section. -ENOTSUP: the device cannot be saved. */
int virtio_mmio_save(const struct virtio_mmio *m, struct snapshot_writer *w, struct error *err);
/* Into a device that no driver has touched; guest memory is there already. */
int virtio_mmio_load(struct virtio_mmio *m, const struct snapshot_section *s, struct error *err);
