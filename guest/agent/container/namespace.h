/* SPDX-License-Identifier: Apache-2.0 */
/*
 * namespace: which namespaces a container makes and which it joins
 * (config-linux.md, "Namespaces"), and how ids map into a user namespace.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

#define NAMESPACE_TYPES 8

struct namespace_plan {
	uint64_t create;          /* CLONE_NEW*: to be made */
	uint64_t join;            /* CLONE_NEW*: to be joined */
	int fds[NAMESPACE_TYPES]; /* of those to be joined, else -1 */
	bool private_user;        /* ids are mapped: made here or joined */
};

/* Opens what is to be joined and checks that it is of its type. */
int namespace_plan_init(struct namespace_plan *plan, const struct oci_linux *l, struct error *err);
void namespace_plan_free(struct namespace_plan *plan);

/* Everything of `join`. What needs capabilities of the user namespace to be joined is
 * tried again after joining that one. */
int namespace_join(const struct namespace_plan *plan, struct error *err);

/* Which namespaces of `pid` differ from the caller's: what an exec has to join. */
int namespace_differing(pid_t pid, uint64_t *flags, struct error *err);

/* Writes uid_map, gid_map (and setgroups) of a process in a fresh user namespace. Without
 * the capability to map others, a single mapping of the own id is tried as it is, else
 * newuidmap and newgidmap are run. May take long: not for an event loop. */
int namespace_map_ids(pid_t pid, const struct oci_linux *l, struct error *err);

/* clock offsets of a time namespace that the caller just made for its children. */
int namespace_set_time_offsets(const struct oci_linux *l, struct error *err);
