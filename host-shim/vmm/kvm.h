/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm: the kernel's side of a machine: its descriptor, memory slots, interrupts and eventfds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host-shim/vmm/memory.h"
#include "lib/base/error.h"

struct kvm {
	int dev, vm;       /* /dev/kvm; the machine */
	uint32_t run_size; /* bytes to map of a processor's descriptor */
	uint32_t slots;    /* a bit for each memory slot that has a region */
	bool deadline_timer;
};

#define KVM_INIT                                                                                   \
	{                                                                                          \
		.dev = -1, .vm = -1                                                                \
	}

/* Makes a machine with interrupt controllers on /dev/kvm, which is `fd` (copied) or opened when
 * that is -1; -ENOTSUP names what the kernel lacks. pit: a timer of the PC too, for guests without
 * a TSC deadline timer. */
int kvm_open(struct kvm *k, int fd, bool pit, struct error *err);
void kvm_close(struct kvm *k); /* fine twice */

/* How many memory slots a machine can have. */
int kvm_slots_max(const struct kvm *k);
/* The slot of that number is these bytes; size 0: it is none any more. */
int kvm_set_slot(struct kvm *k, uint32_t slot, uint64_t gpa, void *host, uint64_t size,
                 struct error *err);
/* Makes all regions of the memory visible to the guest, read-only ones as such, but those of
 * blocks. Once. */
int kvm_add_memory(struct kvm *k, const struct guest_memory *m, struct error *err);
/* One region; its slot is of the lowest number that is free. */
int kvm_add_region(struct kvm *k, const struct guest_region *r, uint32_t *slot, struct error *err);
/* Takes the region with r->slot away again. */
int kvm_remove_region(struct kvm *k, const struct guest_region *r, struct error *err);

/* A write to irq_fd is an edge on the line of the IO-APIC. */
int kvm_add_irqfd(struct kvm *k, int irq_fd, uint32_t gsi, struct error *err);
/* A 4-byte write of `value` at the address is a write to fd; add false: no longer. */
int kvm_set_ioeventfd(struct kvm *k, int fd, uint64_t address, uint32_t value, bool add,
                      struct error *err);

/* ioctl(2) that is made again when a signal came. */
int kvm_ioctl(int fd, unsigned long request, void *arg);
