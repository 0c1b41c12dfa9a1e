/* SPDX-License-Identifier: Apache-2.0 */
/* qemu_args: the command line of QEMU for a guest, from a table of machines. */
#pragma once

#include <stdbool.h>

#include "host-shim/hypervisor/hypervisor.h"
#include "lib/base/error.h"
#include "lib/base/str.h"

/* What is known only at the start. */
struct qemu_start {
	/* Numbers under which QEMU finds its descriptors; -1: not there. Disks given by
	 * descriptor follow from `disks` on, in order. */
	int vsock, console, exit_port, disks;
	int net;          /* a tap */
	int shares;       /* the first one's; the others follow */
	bool debug_exit;  /* a port that ends QEMU, for a multiboot kernel */
	uint32_t tsc_khz; /* of this host, for emulated guests; 0: not known */
};

/* -EINVAL for an unknown machine, and for a rootfs that q35 cannot map. */
int qemu_args(struct strv *args, const struct hypervisor_config *config,
              const struct qemu_start *start, struct error *err);

/* "microvm" and "q35", of which confidential guests take q35; NULL: the default. -EINVAL. */
int qemu_machine_check(const char *name, bool confidential, struct error *err);
#define QEMU_MACHINE_DEFAULT "microvm"
