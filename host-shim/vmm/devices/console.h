/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console: the virtio console device (virtio 1.2 §5.3) with one port.
 *
 * Queue 0 takes input to the guest, queue 1 what it prints. Input is read from the descriptor only
 * as far as the guest has buffers for it.
 */
#pragma once

#include "host-shim/vmm/devices/output.h"
#include "host-shim/vmm/virtio/device.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

#define CONSOLE_QUEUE_RX 0
#define CONSOLE_QUEUE_TX 1

struct console_config {
	struct output *output; /* must outlive the device */
	int input_fd;          /* is made non-blocking, stays the caller's; -1: no input */
	uint16_t cols, rows;   /* both 0: no terminal, no size is told */
};

int console_device_new(struct virtio_device **out, struct loop *loop,
                       const struct console_config *config, struct error *err);

/* The terminal has another size now. */
void console_device_resize(struct virtio_device *dev, uint16_t cols, uint16_t rows);
