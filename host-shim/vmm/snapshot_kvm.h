/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_kvm: the kernel's part of a paused machine's state: processors, interrupt controllers,
 * clock.
 *
 * Saved are the structures of linux/kvm.h as they are, a field each, so that a newer kernel's
 * larger ones are told apart by their size. Processors go into the sections "vcpu.0", "vcpu.1" and
 * so on, the rest into "kvm". The functions work on descriptors alone and may be called from each
 * processor's own thread, one after the other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-shim/vmm/snapshot.h"
#include "host-shim/vmm/snapshot_pages.h"
#include "lib/base/error.h"

/* What this kernel saves of a processor: asked for once, before the jail. */
struct snapshot_kvm {
	uint32_t *msrs; /* owned */
	uint32_t n_msrs;
	uint32_t xsave_size; /* bytes */
};

/* `vcpu` is any processor: MSRs that it cannot be asked for are left out. -1: nothing will be
 * saved, and the MSRs, each a system call, need not be known. */
int snapshot_kvm_init(struct snapshot_kvm *k, int dev, int vm, int vcpu, struct error *err);
void snapshot_kvm_clear(struct snapshot_kvm *k); /* NULL is fine */
#define _cleanup_snapshot_kvm_ __attribute__((cleanup(snapshot_kvm_clear)))

/* The processor stands still and has finished its last exit: KVM_RUN with immediate_exit came back.
 */
int snapshot_save_vcpu(struct snapshot_writer *w, const struct snapshot_kvm *k, unsigned int id,
                       int vcpu, struct error *err);
/* Into a processor that has not run. -EINVAL: of another make of processor; or this one lacks a
 * register, which is named. */
int snapshot_load_vcpu(struct snapshot *s, const struct snapshot_kvm *k, unsigned int id, int vcpu,
                       struct error *err);

/* After all processors were saved; before the first is loaded. The guest's clock (kvm-clock) goes
 * on where it was. pit: the machine has one. */
int snapshot_save_machine(struct snapshot_writer *w, int vm, bool pit, struct error *err);
int snapshot_load_machine(struct snapshot *s, int vm, bool pit, struct error *err);

/* Has KVM map these pages for the guest, too: each would take it out of the processor once, which
 * costs several times as much. What will be written must be a copy by now
 * (snapshot_pages_populate()). A kernel that cannot is no error. */
void snapshot_prefault(int vcpu, const struct snapshot_range *ranges, size_t n);
