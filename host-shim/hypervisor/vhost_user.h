/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost_user: lends a virtio device model to another monitor (QEMU) over the
 * vhost-user protocol, this side being the back end.
 *
 * The front end shares the guest's memory by descriptors and tells where the
 * rings are, in its own addresses. Nothing it says is taken on trust: sizes,
 * counts of descriptors, ranges and order are checked, and a message that is
 * wrong ends the connection with one line.
 */
#pragma once

#include "host-shim/vmm/virtio/device.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

/* Milliseconds for the front end's first message to come. */
#define VHOST_USER_FIRST_MESSAGE_TIMEOUT 60000

struct vhost_user;

/* Once: the front end has gone (err->code 0), or did something wrong. */
typedef void (*vhost_user_ended_fn)(void *data, const struct error *err);

/* Serves the device on the connected socket fd, which stays the caller's. The device must
 * outlive this; its transport is set here. */
int vhost_user_new(struct vhost_user **out, struct loop *loop, int fd, struct virtio_device *dev,
                   vhost_user_ended_fn ended, void *data, struct error *err);
/* NULL is fine; resets the device. */
void vhost_user_free(struct vhost_user *vu);
DEFINE_CLEANUP(struct vhost_user, vhost_user, vhost_user_free)
#define _cleanup_vhost_user_ _cleanup_(cleanup_vhost_user)
