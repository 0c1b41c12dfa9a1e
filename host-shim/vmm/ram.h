/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram: the memory of a guest, allocated in one piece and laid round the gap below 4 GiB.
 *
 * Shared memory is a memfd that other processes (vhost-user) can map; private memory belongs to
 * this process alone. Either can be made of huge pages (hugetlbfs) and touched beforehand.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host-shim/vmm/memory.h"
#include "lib/base/error.h"

#define RAM_MIN (16ull << 20)
#define RAM_MAX (1ull << 40)

struct ram_config {
	uint64_t size;   /* bytes, whole MiB, RAM_MIN to RAM_MAX */
	bool shared;     /* a memfd */
	bool huge_pages; /* 2 MiB pages of hugetlbfs: size must be whole 2 MiB */
	bool prefault;   /* every page is there before the guest starts */
};

/* The mapping alone, the caller's to unmap; of `size` any whole number of pages will do. */
int ram_map(uint8_t **host, const struct ram_config *config, int *fd, struct error *err);

/* Adds the memory to `m`, which unmaps it in guest_memory_clear(). *fd is the memfd, the
 * caller's now, or -1 for private memory. -EINVAL: size; -ENOMEM: not that much. */
int ram_allocate(struct guest_memory *m, const struct ram_config *config, int *fd,
                 struct error *err);

/* Asks for transparent huge pages in private memory that nobody has touched, as far as whole ones
 * lie in it; it still reads as zeros. False: there will be none, and nothing has changed. */
bool ram_ask_huge_pages(uint8_t *at, uint64_t size);

/* The same for where the guest will come to, if it does: nothing is taken now. */
void ram_hint_huge_pages(uint8_t *at, uint64_t size);
