/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper: a process that stays in the runtime's namespaces while a container's first
 * process sets itself up, and does for it what only the runtime may: map ids, raise
 * limits, open bind sources, run the prestart and createRuntime hooks. The runtime
 * itself goes on meanwhile. It ends with the conversation.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "guest/agent/container/state.h"
#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

struct helper_args {
	const struct oci_spec *spec;
	struct state state; /* for hooks; status is "creating" */
	int fd;             /* its end of the sync pair */
};

/* Does this specification need one? */
bool helper_needed(const struct oci_spec *spec, bool new_user_namespace);
/* Forks it. */
int helper_start(const struct helper_args *args, pid_t *pid, struct error *err);
/* From the container's first process: SYNC_MAP_IDS or SYNC_HOOKS, waits for the end of it. */
int helper_ask(int fd, int what, struct error *err);
