/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child: what a forked process does until it is the container's program. All of it runs
 * in the child; what goes wrong is told over sync_fd and ends it.
 */
#pragma once

#include <stdbool.h>

#include "guest/agent/container/capability.h"
#include "guest/agent/container/namespace.h"
#include "guest/agent/container/spawn.h"
#include "guest/agent/container/state.h"
#include "lib/oci/runtime_spec.h"

struct child_plan {
	const struct oci_spec *spec; /* of the first process; NULL for a further one */
	const struct oci_process *process;
	const struct oci_personality *personality;
	struct namespace_plan *namespaces; /* of the first process; else NULL */
	bool private_user;                 /* it will be in a user namespace of the container */
	struct capability_sets capabilities;
	const char *rootfs;
	const char *bundle;
	const char *cgroup_path;
	const char *apparmor; /* NULL: none, or a kernel without */
	const char *selinux;
	struct state state; /* for hooks; without the pid, which is 1 or whatever it sees itself */
	int sync_fd;
	int helper_fd; /* -1: none */
	int listen_fd; /* the start socket, -1: none */
	int proc_fd;   /* the runtime's /proc */
	int root_fd;   /* root of a container without a mount namespace, to be entered; -1 */
	int filter_fd; /* compiled system call filter, -1: none, or to be made of the spec */
	int stdio[3];
	unsigned int preserve_fds;
	bool no_pivot;
	bool die_with_parent;
	bool keep_keyring;
	bool keep_groups;  /* the additional groups of the caller stay */
	bool filter_comes; /* over sync_fd: the maker compiles it */
};

/* spawn_args.before and .run; data is the plan. */
int child_before(void *data, struct error *err);
void child_run(const struct spawn_args *args);
