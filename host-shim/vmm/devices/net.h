/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net: the virtio network device (virtio 1.2 §5.1) with one pair of queues.
 *
 * Queue 0 takes frames to the guest, queue 1 from it. Frames wait where they are (in the tap
 * interface, in the socket) while the guest has no buffers; one at most is held here.
 */
#pragma once

#include <stdint.h>

#include "host-shim/vmm/devices/net_backend.h"
#include "host-shim/vmm/virtio/device.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

#define NET_QUEUE_RX 0
#define NET_QUEUE_TX 1

struct net_config {
	struct net_backend *backend; /* taken on success */
	uint8_t mac[6];
	uint16_t mtu; /* 68 and more; 0: not told, and no frame is too long */
};

int net_device_new(struct virtio_device **out, struct loop *loop, const struct net_config *config,
                   struct error *err);
/* Whether its other side is there; when it has gone the guest's link is down for good. */
bool net_device_is_up(const struct virtio_device *dev);
