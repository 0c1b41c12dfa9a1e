/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_filter: which devices a cgroup may open and make, as a cgroup BPF program
 * (config-linux.md, "Allowed Device list"; BPF_PROG_TYPE_CGROUP_DEVICE).
 *
 * The rules of a container are its own, in order, then those every container needs:
 * mknod of anything, the default devices, terminals, linux.devices. The last rule that
 * speaks of a device and an access decides; without one it is denied.
 */
#pragma once

#include <linux/bpf.h>
#include <stddef.h>

#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

#define DEVICE_FILTER_MAX_RULES 512

struct device_filter {
	struct bpf_insn *insns; /* owned */
	size_t n;
};

/* res and devices may be NULL. -EINVAL for a rule that makes no sense, -E2BIG. */
int device_filter_build(const struct oci_resources *res, const struct oci_device *devices,
                        size_t n_devices, struct device_filter *out, struct error *err);
void device_filter_free(struct device_filter *f);

/* Puts it on the cgroup in the place of what was there. -EPERM: not allowed to load
 * programs here (a user namespace). */
int device_filter_attach(const struct device_filter *f, int cgroup_fd, struct error *err);
