/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost_user_device: a virtio device whose queues another process serves (virtiofsd, say), this
 * side being the front end of the vhost-user protocol.
 *
 * The process gets the guest's memory, which therefore must be shared, and the rings; notifications
 * go through eventfds. It is as trusted as this process with the guest's memory, but not with ours:
 * what it answers is checked, and when it goes, or does not answer in time, the device needs a
 * reset that will not help.
 */
#pragma once

#include <stdint.h>

#include "host-shim/vmm/virtio/device.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

/* Milliseconds that an answer may take; the loop waits for it. */
#define VHOST_USER_ANSWER_TIMEOUT 5000

#define VHOST_USER_CONFIG_MAX 256

struct vhost_user_device_config {
	int fd;           /* the connected socket; taken on success */
	const char *name; /* "fs", for messages; must outlive the device */
	uint32_t id;      /* VIRTIO_ID_FS ... */
	unsigned int n_queues;
	/* The configuration space; size 0: the other process tells. */
	uint8_t config[VHOST_USER_CONFIG_MAX];
	size_t config_size;
	const struct guest_memory *memory; /* as the queues'; must outlive the device */
	/* The file of a region, and where in it the region begins; -1: cannot be shared, the other
	 * process will not see it. */
	int (*region_fd)(void *data, const struct guest_region *region, uint64_t *offset);
	void *data;
};

/* Talks to the process: -EPROTO: it is no such back end; -ETIMEDOUT. */
int vhost_user_device_new(struct virtio_device **out, struct loop *loop,
                          const struct vhost_user_device_config *config, struct error *err);

/* Fills id, name, config and n_queues for a file system that the guest mounts by its tag (at most
 * 36 bytes). -EINVAL: a tag that is empty or too long. */
int vhost_user_fs_config(struct vhost_user_device_config *config, const char *tag,
                         struct error *err);
