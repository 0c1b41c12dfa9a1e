/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock: the virtio socket device (virtio 1.2 §5.10), in user space.
 *
 * Queue 0 takes packets to the guest, queue 1 from it, queue 2 events; a
 * transport that has no event queue leaves it stopped. The host's side is
 * "hybrid vsock", see vsock_listen.h.
 */
#pragma once

#include <stdint.h>

#include "host-shim/vmm/virtio/device.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

#define VSOCK_QUEUE_RX    0
#define VSOCK_QUEUE_TX    1
#define VSOCK_QUEUE_EVENT 2
#define VSOCK_QUEUES      3

struct vsock_config {
	uint64_t guest_cid; /* 3 to 2^32 - 2 (§5.10.4) */
	int listen_fd;      /* of vsock_bind(); stays the caller's; -1: the guest only connects */
	const char *path;   /* copied; "<path>_<port>" is where the guest's connections go */
	/* For tests: instead of the unix socket at path. */
	int (*connect)(void *data, uint32_t port);
	void *connect_data;
};

/* The transport sets device->transport before it activates the device. */
int vsock_device_new(struct virtio_device **out, struct loop *loop,
                     const struct vsock_config *config, struct error *err);

/* Opens a stream to the guest's port on the connected socket fd; see vsock_mux_open().
 * -ENOTCONN: no driver is ready, or it has not yet heard of vsock_device_transport_reset(). fd is
 * taken on success. */
int vsock_device_open(struct virtio_device *dev, int fd, uint32_t guest_port);

/* After a restore: all streams are gone, the guest is told by an event (§5.10.6.7). */
void vsock_device_transport_reset(struct virtio_device *dev);
