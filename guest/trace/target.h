/* SPDX-License-Identifier: Apache-2.0 */
/* target: the control group that is looked at, and the container's pid namespace. */
#pragma once

#include <stdbool.h>

#include "guest/trace/bpf/record.h"
#include "lib/base/error.h"

struct target {
	int events;     /* cgroup.events; -1: the root, which has none */
	bool populated; /* there was a process in it once */
	bool frozen;    /* when it was last looked at */
};

#define TARGET_INIT                                                                                \
	{                                                                                          \
		-1, false, false                                                                   \
	}

/* Fills in cgroup, level and pidns_* of config. `pidns` is a file of /proc/PID/ns, or NULL.
 * -EINVAL: one of them is not what it should be. */
int target_open(const char *cgroup, const char *pidns, struct target *out,
                struct trace_config *config, struct error *err);
void target_close(struct target *t);
#define _cleanup_target_ __attribute__((cleanup(target_close)))

/* Whether the last process is gone, or the control group itself. `changed`: `events` polled
 * POLLPRI.
 */
bool target_ended(struct target *t, bool changed);
