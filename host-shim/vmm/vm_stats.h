/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_stats: what a machine of the built-in monitor can say of itself in numbers.
 *
 * Counters begin at 0 with the machine and only grow. Times are nanoseconds of CLOCK_MONOTONIC, 0
 * for what has not happened. What the guest does shows in them, so it can make them up: they are
 * for people and graphs, not for decisions about trust.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-shim/vmm/virtio/device.h"
#include "lib/base/bytes.h"
#include "lib/base/error.h"

#define VM_STATS_EXITS   64
#define VM_STATS_DEVICES 19

struct vm;

struct vm_queue_stats {
	uint64_t notifications; /* doorbells that the device looked at; several rings may be one */
	uint64_t interrupts;
	struct virtqueue_counters data; /* 0 where another process has the queue (vhost-user) */
};

struct vm_device_stats {
	const char *name; /* of the model: "blk"; NULL: the slot is empty */
	unsigned int slot, n_queues;
	struct vm_queue_stats queues[VIRTIO_QUEUES_MAX];
};

/* Bytes, from smaps of the process. */
struct vm_memory_stats {
	bool known; /* false: there was no smaps to read; the next four are 0 */
	/* Of the guest's RAM and of the images that are mapped into it: */
	uint64_t resident;
	uint64_t private_bytes; /* pages that no other process has */
	uint64_t shared;        /* pages that others have, too: an image's in the page cache */
	/* Private pages of everything else in the process: what the monitor itself takes. */
	uint64_t monitor_private;
};

struct vm_stats {
	uint64_t started_ns; /* the process, as vm_config.started_ns says, or created_ns */
	uint64_t created_ns; /* vm_create() was called */
	uint64_t run_ns;     /* the processors were started: just before the first KVM_RUN */
	/* The guest's kernel first used a port or a device; process 1 of the guest ran, by its own
	 * word (guest/init/started.h). 0 for both in a machine that was restored. */
	uint64_t kernel_ns, init_ns;
	uint64_t agent_ns; /* a program in the guest first answered through a vsock */
	uint64_t now_ns;   /* when the numbers were taken */
	uint32_t cpus;
	uint64_t memory_size; /* bytes of RAM the guest was given, and has plugged */
	uint64_t balloon;     /* of these in its balloon, as it says */
	uint64_t discarded;   /* bytes that its balloon gave back so far, reported pages included */
	uint64_t taken_back;  /* bytes that the guest took from it for want of other memory */
	bool has_balloon;
	struct vm_memory_stats memory;
	uint64_t exits[VM_STATS_EXITS]; /* returns of KVM_RUN, by KVM_EXIT_* */
	uint64_t exits_total;
	struct vm_device_stats devices[VM_STATS_DEVICES];
	unsigned int n_devices;
};

/* On the thread of the loop. Reading smaps takes the kernel about a microsecond a mapped MiB. */
void vm_stats(const struct vm *vm, struct vm_stats *out);
/* The name of an exit's reason ("mmio"), or NULL. */
const char *vm_exit_name(unsigned int reason);

/* One object, a line without its end; names carry the unit: _ns, _bytes. b->failed: no memory. */
void vm_stats_json(const struct vm_stats *s, struct buffer *b);

/* A range of the process's addresses that belongs to the guest. */
struct vm_stats_range {
	uint64_t start, size;
};

/* Adds up smaps (proc_pid_smaps(5)). A mapping that touches a range counts as the guest's whole.
 * -EPROTO: the text is none, and *out is as it was. */
int vm_stats_smaps(const char *text, size_t size, const struct vm_stats_range *ranges, size_t n,
                   struct vm_memory_stats *out, struct error *err);
