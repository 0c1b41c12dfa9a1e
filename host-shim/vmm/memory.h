/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: the guest-physical address map, and bounded pointers into it.
 *
 * A device never computes a host address itself: it asks for a range and gets
 * a pointer that is good for all of it, or nothing. Read-only regions (a shared
 * image) are refused for writing. What the guest's memory holds may change at
 * any time under the reader: copy once, then check the copy.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/base/error.h"

#define GUEST_MEMORY_REGIONS_MAX 16

enum guest_access { GUEST_READ, GUEST_WRITE };

struct guest_region {
	uint64_t gpa;  /* guest-physical address of the first byte */
	uint64_t size; /* bytes, never 0 */
	uint8_t *host; /* where it is mapped here */
	bool readonly;
	uint32_t slot; /* KVM's, of memory that was added after boot; else 0 */
	/* NULL: all of it is there; else a byte for each block of 1 << block_shift bytes, 0 while
	 * the block is not the guest's (virtio 1.2 §5.15: unplugged). */
	const uint8_t *blocks;
	unsigned int block_shift;
	void *map; /* what to unmap at the end; NULL: the memory is the caller's */
	size_t map_size;
};

struct guest_memory {
	struct guest_region regions[GUEST_MEMORY_REGIONS_MAX]; /* sorted by gpa, disjoint */
	unsigned int n;
};

/* Adds memory that the caller owns and keeps. -EINVAL: empty, wraps round or overlaps;
 * -ENOSPC: GUEST_MEMORY_REGIONS_MAX reached. */
int guest_memory_add(struct guest_memory *m, uint64_t gpa, uint64_t size, void *host, bool readonly,
                     struct error *err);

/* As guest_memory_add(), for memory of which only some blocks are there; `blocks` may change at any
 * time between calls from the same thread. size is whole blocks. */
int guest_memory_add_blocks(struct guest_memory *m, uint64_t gpa, uint64_t size, void *host,
                            const uint8_t *blocks, unsigned int block_shift, struct error *err);

/* Maps `size` bytes of the file from `offset` (any alignment) and adds them. The file must
 * be that long now. fd stays the caller's and may be closed at once. */
int guest_memory_map(struct guest_memory *m, uint64_t gpa, uint64_t size, int fd, uint64_t offset,
                     bool readonly, struct error *err);

/* The region that begins at gpa, or NULL. */
struct guest_region *guest_memory_find(struct guest_memory *m, uint64_t gpa);

/* Forgets the region that begins at gpa; its memory was the caller's and is again. */
void guest_memory_remove(struct guest_memory *m, uint64_t gpa);

/* Unmaps what guest_memory_map() mapped and forgets all regions. NULL is fine. */
void guest_memory_clear(struct guest_memory *m);

/* A host pointer to the whole of [gpa, gpa + size), or NULL when it is not inside one
 * region, wraps round, is empty, or is asked for writing in a read-only region. */
void *guest_memory_ptr(const struct guest_memory *m, uint64_t gpa, uint64_t size,
                       enum guest_access access);

/* As guest_memory_ptr() for ranges that may lie over adjoining regions: fills at most `max`
 * pieces and returns how many (0 for an empty range), -EFAULT or -ENOSPC. */
int guest_memory_iov(const struct guest_memory *m, uint64_t gpa, uint64_t size,
                     enum guest_access access, struct iovec *iov, size_t max);
