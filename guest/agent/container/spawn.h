/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn: the first process of a container, or a further one, straight into its cgroup
 * and namespaces (clone3(2)).
 *
 * A process cannot move itself into another pid or time namespace, only its children.
 * Where one is to be joined, or a new user namespace is combined with joined others, a
 * joiner is forked that joins and makes the process as its sibling (CLONE_PARENT), so
 * that the caller has it as its own child in every case and never changes its own
 * namespaces. The joiner touches nothing but namespace descriptors; the caller waits for
 * it, some hundred microseconds, with a limit of SPAWN_DEADLINE_MS.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "guest/agent/container/namespace.h"
#include "lib/base/error.h"

#define SPAWN_DEADLINE_MS 10000

struct spawn_args {
	const struct namespace_plan *namespaces; /* or */
	int target_pidfd;                        /* -1, or: join the namespaces of this process */
	uint64_t target_flags;                   /* those, CLONE_NEW* */
	const struct oci_linux *time_offsets;    /* of a new time namespace */
	int cgroup_fd;                           /* -1: stay */
	/* Runs in the joiner, or from spawn_enter(), before any namespace is left. */
	int (*before)(void *data, struct error *err);
	/* Runs in the new process, with all signals blocked; must not return. It calls
	 * spawn_enter() first. */
	void (*run)(const struct spawn_args *args);
	void *data;
};

/* In the new process: joins what is to be joined, unless the joiner has done it. */
int spawn_enter(const struct spawn_args *args, struct error *err);
/* *pidfd is the caller's. */
int spawn(const struct spawn_args *args, pid_t *pid, int *pidfd, struct error *err);
