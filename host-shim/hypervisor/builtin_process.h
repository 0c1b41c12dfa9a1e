/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builtin_process: the process that a guest of the built-in monitor runs in.
 *
 * Forked before its parent reads a secret; it holds what it will ever need as descriptors, waits
 * for the word to start, and closes itself in (host-shim/vmm/jail.h) before the guest's first
 * instruction. It dies with the thread that started it.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "host-shim/hypervisor/hypervisor.h"

/* What the parent sends on the control socket, with the descriptors of the disks. */
struct builtin_go {
	uint32_t n_disks;
	uint32_t readonly; /* a bit a disk */
};

/* Later, when the guest is to be saved: one byte. The end that comes back is of this kind, or of
 * kind VM_END_FAILED. */
#define BUILTIN_SAVE  's'
#define BUILTIN_SAVED 0x100u /* not one of enum vm_end_kind, like the next */
#define BUILTIN_NOTE  0x200u /* the first of enum builtin_note, which are no end */

enum builtin_note { BUILTIN_PANICKED = BUILTIN_NOTE, BUILTIN_OUT_OF_MEMORY };

/* What comes back there: notes, and, once, the machine's end. With hypervisor_config.stats a last
 * message follows: vm_stats_json(). */
struct builtin_end {
	uint32_t kind; /* enum vm_end_kind or builtin_note */
	uint32_t value;
	int32_t exit_status; /* of the guest's program, as it told the exit port; -1: it did not */
	char text[160];
};

/* Descriptors of the child; they stay the caller's. -1: there is none. */
struct builtin_fds {
	int control; /* a socket of struct builtin_go and struct builtin_end */
	int errors;  /* why it failed, one line */
	int console; /* what the guest prints */
	int kvm;     /* /dev/kvm */
	int kernel, initrd, rootfs;
	int vsock;    /* of vsock_bind() */
	int stats;    /* the same; who connects is sent vm_stats_json() */
	int net;      /* as net_stream_new() takes it, or net_tap_new(): config.net.kind says */
	int requests; /* of control_bind() */
	int shares[HYPERVISOR_SHARES_MAX]; /* of each share its stream */
};

/* All of them are descriptors: they can be gone through. */
#define BUILTIN_FDS (sizeof(struct builtin_fds) / sizeof(int))

/* The configuration and the folder of vsock_path are the parent's at the time of the call. */
int builtin_process_start(pid_t *pid, const struct hypervisor_config *config,
                          const struct builtin_fds *fds, const char *vsock_path, struct error *err);

/* Whether other processes may be given the guest's memory. */
static inline bool builtin_memory_is_shared(const struct hypervisor_config *c)
{
	return c->shared_memory || c->n_shares > 0;
}
