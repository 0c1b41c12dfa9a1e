/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk: the virtio block device (virtio 1.2 §5.2) on a raw file or a block device.
 *
 * One queue. Requests are checked on the loop's thread, against a copy, and carried out by
 * the pool's threads, but for short reads of what the page cache has; how many are under way at
 * once is bounded. Nothing beyond the capacity is read or written, and a file that turns out
 * shorter than it was is an I/O error of that request.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host-shim/vmm/devices/io_pool.h"
#include "host-shim/vmm/virtio/device.h"
#include "lib/base/error.h"

#define BLK_SECTOR     512u
#define BLK_SERIAL_MAX 20

struct blk_config {
	int fd;             /* not O_DIRECT; stays the caller's, must outlive the device */
	bool readonly;      /* also when fd cannot be written */
	const char *serial; /* at most BLK_SERIAL_MAX bytes count; copied; NULL: empty */
};

/* The capacity is the size of the file, a last part of a sector left out. The pool must outlive the
 * device. -EINVAL: not a regular file or block device. */
int blk_device_new(struct virtio_device **out, struct loop *loop, struct io_pool *pool,
                   const struct blk_config *config, struct error *err);

/* The file has another size now: looks and tells the driver (§5.2.5.2). */
int blk_device_resized(struct virtio_device *dev, struct error *err);
