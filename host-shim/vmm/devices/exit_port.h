/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit_port: a virtio console device (virtio 1.2 §5.3) whose only port, "kihon.exit", takes one
 * line from the guest: "exit N", how its program ended.
 *
 * Port 0, which kernels keep for a console, is never added. Nothing is ever sent to the guest but
 * what tells it of the port.
 */
#pragma once

#include "host-shim/vmm/virtio/device.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

#define EXIT_PORT_QUEUE_CONTROL_RX 2
#define EXIT_PORT_QUEUE_CONTROL_TX 3
#define EXIT_PORT_QUEUE_TX         5
#define EXIT_PORT_QUEUES           6

/* status: 0 to 255. Once in the device's life. */
typedef void (*exit_port_fn)(void *data, unsigned int status);

int exit_port_device_new(struct virtio_device **out, struct loop *loop, exit_port_fn fn, void *data,
                         struct error *err);
