/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pmem: the virtio persistent memory device (virtio 1.2 §5.19).
 *
 * The device itself is one queue of flush requests; the data is a range of guest-physical
 * memory that the machine maps from the file: pmem_backing_map(), guest_memory_add() and a memory
 * slot. Machines with the same read-only file share the host's page cache.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host-shim/vmm/devices/io_pool.h"
#include "host-shim/vmm/virtio/device.h"
#include "lib/base/error.h"

/* Linux gives its memory map to persistent memory in sections of 2 MiB: address and size of the
 * range must be multiples. */
#define PMEM_ALIGN (2ull << 20)

struct pmem_backing {
	void *host;
	uint64_t size;      /* bytes, a multiple of PMEM_ALIGN; beyond the file's end: zeros */
	uint64_t file_size; /* bytes when it was mapped */
	bool readonly;
};

/* Maps the whole file. What the range has beyond the file's last page is anonymous zeros, so a
 * guest that reads there harms nobody. -EINVAL: an empty file, or one that is to be written and is
 * no multiple of PMEM_ALIGN (the rest would be lost). The file must not be cut while it is mapped:
 * whoever touches what is gone gets SIGBUS. */
int pmem_backing_map(struct pmem_backing *b, int fd, bool readonly, struct error *err);
void pmem_backing_unmap(struct pmem_backing *b);

struct pmem_config {
	uint64_t gpa, size; /* of the range; multiples of PMEM_ALIGN */
	int fd;             /* what is flushed; stays the caller's, must outlive the device */
	bool readonly;      /* nothing to flush: requests succeed at once */
};

/* The pool must outlive the device. */
int pmem_device_new(struct virtio_device **out, struct loop *loop, struct io_pool *pool,
                    const struct pmem_config *config, struct error *err);
