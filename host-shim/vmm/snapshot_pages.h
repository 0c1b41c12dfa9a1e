/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_pages: the pages of a snapshot's memory that a machine touches until it is of use, so
 * that the next one finds them mapped instead of stopping at each.
 *
 * A file of its own in the format of a state (snapshot.h), with one section: the snapshot that it
 * belongs to, and ranges of pages in the order of addresses. It makes machines quicker and nothing
 * else: what it leaves out is mapped when it is touched.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host-shim/vmm/memory.h"
#include "host-shim/vmm/snapshot.h"
#include "host-shim/vmm/snapshot_memory.h"
#include "lib/base/error.h"

#define SNAPSHOT_RANGES_MAX 32768u
#define SNAPSHOT_COPIES_MAX 4096u

struct snapshot_range {
	uint64_t gpa, size; /* whole pages */
	bool written;       /* each machine has a copy of its own */
};

/* Writes to fd, an empty file, what the process behind pagemap (/proc/PID/pagemap, open) has
 * touched of `ram`, which is mapped privately from the memory of the snapshot called id. */
int snapshot_pages_save(const struct guest_memory *ram, int pagemap,
                        const uint8_t id[SNAPSHOT_ID_SIZE], int fd, struct error *err);

/* Reads such a file of this snapshot, ranges of `ram` alone: *ranges is fresh memory, of *n.
 * -EINVAL: it is damaged, of another snapshot, or names what is not there. */
int snapshot_pages_parse(struct snapshot *s, const uint8_t id[SNAPSHOT_ID_SIZE],
                         const struct guest_memory *ram, struct snapshot_range **ranges, size_t *n,
                         struct error *err);

/* Makes the copies of what will be written now, and has the kernel read the rest into its page
 * cache: who reads a page there has those around it mapped at once. A kernel that cannot is no
 * error. */
void snapshot_pages_populate(const struct guest_memory *ram, const struct snapshot_range *ranges,
                             size_t n);

/* Pages that a machine has copies of. */
struct snapshot_copies {
	size_t n;
	struct snapshot_copy {
		uint8_t *host;
		uint64_t in_file; /* where it is in the snapshot's memory (snapshot_memory.h) */
	} pages[SNAPSHOT_COPIES_MAX];
};

/* Finds the first of them. */
int snapshot_pages_find_copies(struct snapshot_copies *c, const struct guest_memory *ram,
                               int pagemap, struct error *err);

/* Gives back those that hold what the snapshot's memory does: they were written and have become
 * again what they were. Nobody may write to them meanwhile. Returns the bytes, or a negative errno
 * value. */
int64_t snapshot_pages_share(const struct snapshot_copies *c, int memory, struct error *err);
