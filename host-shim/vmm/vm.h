/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm: a machine of the built-in monitor, from its making to its end.
 *
 *	vm_create -> vm_add_* -> vm_boot or vm_restore -> { vm_pause (vm_save) <-> vm_resume }
 *	          -> vm_destroy
 *
 * A call that does not fit the machine's state does nothing and returns -EINVAL with one line that
 * names both. A machine whose vm_boot() or vm_restore() failed is at its end, as one whose guest
 *has ended: it can only be destroyed. All calls and callbacks belong to the thread that runs the
 *loop, which is the device thread; processors have threads of their own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-shim/vmm/virtio/device.h"
#include "host-shim/vmm/vm_stats.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

#define VM_CPUS_MAX    32
#define VM_DEVICES_MAX 19

struct vm;

struct vm_config {
	uint32_t cpus;   /* 1 to VM_CPUS_MAX */
	uint64_t memory; /* bytes; see ram.h for what is allowed, and for the next three */
	bool shared, huge_pages, prefault;
	/* What vm_resize() may ask for, bytes; 0: it never will. Not with huge_pages. */
	uint64_t memory_max;
	const char *cpu; /* NULL: the host's processor; or a model of x86_64/cpuid.h */
	bool no_acpi;    /* the kernel has none: MP table and words on the command line instead */
	bool pit;        /* give the guest the PC's timer */
	int kvm_fd;      /* /dev/kvm, stays the caller's; -1: it is opened */
	int console_fd;  /* for the serial port; see output.h; stays the caller's; -1: none */
	/* First thing on each processor's thread (its jail); negative ends the machine. */
	int (*enter_vcpu)(void *data);
	void *enter_data;
	/* For vm_stats(): /proc/self/smaps, open, the caller's (0 or -1: none); when the process
	 * began (CLOCK_MONOTONIC; 0: with vm_create()). */
	int smaps_fd;
	uint64_t started_ns;
	int pages_fd; /* for vm_restore(): pages to map at once (snapshot_pages.h); 0 or -1: none */
	/* For vm_restore(): which pages are touched is going to be looked at (page_trace.h). */
	bool trace_pages;
};

enum vm_end_kind {
	VM_END_POWER_OFF, /* ACPI S5 */
	VM_END_RESET,     /* asked for a restart, or a triple fault */
	VM_END_EXIT,      /* wrote to the exit port; `value` is the byte */
	VM_END_FAILED,    /* KVM could not go on; `text` */
};

struct vm_end {
	enum vm_end_kind kind;
	uint64_t value;
	const char *text; /* one line, or "" */
};

struct vm_events {
	void (*panicked)(void *data); /* the guest's kernel says so; may be NULL */
	/* The guest has taken memory back that its balloon was to keep, for want of any other
	 * (balloon.h); may be NULL. */
	void (*out_of_memory)(void *data);
	/* Once; the processors stand still. vm_destroy() may not be called from here. */
	void (*ended)(void *data, const struct vm_end *end);
	void *data;
};

/* Files stay the caller's and may be closed after vm_boot(); nobody may cut them while the machine
 * lives, for their pages are mapped. */
struct vm_boot {
	int kernel_fd, initrd_fd; /* initrd_fd -1: none */
	const char *kernel_name;  /* for error lines, and for multiboot kernels */
	const char *cmdline;      /* NULL: none */
};

int vm_create(struct vm **out, struct loop *loop, const struct vm_config *config,
              const struct vm_events *events, struct error *err);

/* Attaches a device, which must outlive the machine. They are found in the order of these calls. */
int vm_add_device(struct vm *vm, struct virtio_device *dev, struct error *err);
/* Adds `n` slots without a device, to be filled by vm_plug(). Each costs a boot three exits. */
int vm_add_slots(struct vm *vm, unsigned int n, struct error *err);
/* Makes the mapped bytes memory of the guest, above its own: *gpa is where. They stay the caller's
 * and must outlive the machine, or vm_remove_memory(); whole pages. In a machine that is booted,
 * too. */
int vm_add_memory(struct vm *vm, void *host, uint64_t size, bool readonly, uint64_t *gpa,
                  struct error *err);
/* Takes away what was added after boot; the device whose it was is unplugged before. -ENOENT. */
int vm_remove_memory(struct vm *vm, uint64_t gpa, struct error *err);

/* Puts a device into an empty slot of a machine that runs or is paused, and says into which. The
 * guest does not hear of it: somebody in it has to bind the slot's platform device to its driver
 * again (virtio 1.2 §4.2.2: an empty slot is a placeholder). -ENOSPC: no slot is empty. */
int vm_plug(struct vm *vm, struct virtio_device *dev, unsigned int *slot, struct error *err);
/* Takes it out; it is reset and the caller's again. -EBUSY: a driver has it, and `force` is not
 * given; with it, the guest's driver is left waiting for answers. -ENOENT: it is in no slot. */
int vm_unplug(struct vm *vm, struct virtio_device *dev, bool force, struct error *err);

/* The guest's RAM, what it has plugged included, without what vm_add_memory() added; for a balloon.
 * Valid as long as the machine. */
const struct guest_memory *vm_ram(const struct vm *vm);
/* The same with the images of persistent memory. */
const struct guest_memory *vm_memory(const struct vm *vm);
/* Of shared memory the file of a region of the above, and where in it the region begins; else -1.
 * It stays the machine's. */
int vm_memory_fd(const struct vm *vm, const struct guest_region *region, uint64_t *offset);

/* Asks the guest to have so much RAM, from config.memory to memory_max in steps of at least 2 MiB:
 * its driver plugs and unplugs blocks by and by, as far as it can. */
int vm_resize(struct vm *vm, uint64_t bytes, struct error *err);
uint64_t vm_memory_size(const struct vm *vm); /* bytes of RAM that the guest has now */

int vm_boot(struct vm *vm, const struct vm_boot *boot, struct error *err);
/* Returns when no processor runs. */
int vm_pause(struct vm *vm, struct error *err);
int vm_resume(struct vm *vm, struct error *err);
/* Writes a paused machine's state and memory to two empty files. It stays paused and may be
 * resumed. */
int vm_save(struct vm *vm, int state_fd, int memory_fd, struct error *err);
/* In place of vm_boot(), with the same configuration and devices: the machine goes on where it was
 * saved, its memory mapped privately from the file, which may be closed but not changed.
 * Connections of a vsock device have ended: vsock_device_transport_reset(). */
int vm_restore(struct vm *vm, int state_fd, int memory_fd, struct error *err);
/* Gives back the memory of a restored machine that is again what its memory file holds, which it
 * then shares with others; it stands still meanwhile. A machine that has written more than
 * SNAPSHOT_COPIES_MAX pages is left alone. pagemap: /proc/self/pagemap, open. Returns the bytes,
 * or a negative errno value. */
int64_t vm_share(struct vm *vm, int pagemap, int memory_fd, struct error *err);
/* Tells the guest of a new generation id (x86_64/acpi.h), as vm_restore() does by itself; nothing
 * without ACPI. */
int vm_renew_generation(struct vm *vm, struct error *err);
void vm_destroy(struct vm *vm); /* in any state; NULL is fine */
DEFINE_CLEANUP(struct vm, vm, vm_destroy)
#define _cleanup_vm_ _cleanup_(cleanup_vm)
