/* SPDX-License-Identifier: Apache-2.0 */
/* rng: the virtio entropy device (virtio 1.2 §5.4), from getrandom(2), at a bounded rate. */
#pragma once

#include "host-shim/vmm/virtio/device.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

/* Enough to seed a kernel at once; a guest that reads for fun waits. */
#define RNG_RATE_DEFAULT (256u * 1024)

/* rate: bytes a second, 0 for no bound. */
int rng_device_new(struct virtio_device **out, struct loop *loop, uint64_t rate, struct error *err);
