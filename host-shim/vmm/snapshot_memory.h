/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_memory: the memory of a paused machine as a file of its own, which clones map privately.
 *
 * The file has the regions of memory one behind the other, each from a multiple of 2 MiB on, with
 * holes where memory was zero; and behind them one page that names the snapshot it belongs to. What
 * is where, and a checksum of every 2 MiB, is in the section "memory" of the state (snapshot.h). A
 * machine that is restored reads a page when it touches it, and nobody else sees what it writes.
 *
 * The file must not change while a machine runs on it: make it read-only, replace it by rename(2).
 */
#pragma once

#include <stdint.h>

#include "host-shim/vmm/memory.h"
#include "host-shim/vmm/snapshot.h"
#include "lib/base/error.h"

#define SNAPSHOT_BLOCK (2ull << 20)

struct snapshot_ram {
	const struct guest_region *regions; /* of memory, not of images */
	unsigned int n;
	int fd; /* the memfd that the regions lie in, one behind the other; -1: private memory */
};

/* Writes the memory to fd, an empty file, and the section to w. */
int snapshot_memory_save(struct snapshot_writer *w, const struct snapshot_ram *ram, int fd,
                         struct error *err);

/* Maps the memory of fd privately and adds it to m, which had none of these regions;
 * guest_memory_clear() unmaps it. -EINVAL: the file is cut short or of another snapshot. The
 * content is not read: snapshot_memory_check() does that. */
int snapshot_memory_map(struct snapshot *s, int fd, struct guest_memory *m, struct error *err);

/* The same over the regions of m, whose memory is replaced: a machine that has just been made.
 * -EINVAL, too, when they are not those of the snapshot. */
int snapshot_memory_replace(struct snapshot *s, int fd, const struct guest_memory *m,
                            struct error *err);

/* The 16 bytes that name it and its state alike. */
#define SNAPSHOT_ID_SIZE 16
int snapshot_memory_id(struct snapshot *s, uint8_t id[SNAPSHOT_ID_SIZE], struct error *err);

/* Reads all of the file. -EINVAL names the first address that is damaged. */
int snapshot_memory_check(struct snapshot *s, int fd, struct error *err);
