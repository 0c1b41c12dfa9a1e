/* SPDX-License-Identifier: Apache-2.0 */
/* runtime: what the options before the verb say, and how a command ends. */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/base/options.h"

enum cgroup_manager { CGROUP_FS, CGROUP_SYSTEMD, CGROUP_DISABLED };

struct runtime {
	const char *root; /* folder of the containers' records */
	const char *log;  /* file for errors, NULL: none */
	bool log_json;
	bool debug;
	bool real_root; /* not merely of a user namespace */
	enum cgroup_manager cgroups;
};

/* Of this run; main.c has it. */
const struct runtime *runtime(void);

/* Prints the error on stderr and to the log; the exit status, 1, which is what engines
 * know from runc and crun for every failure. */
int runtime_fail(const struct error *err);

/* The verbs, one file for those that belong together. */
extern const struct verb create_verb, run_verb, start_verb, exec_verb;
extern const struct verb state_verb, kill_verb, delete_verb, list_verb, ps_verb;
extern const struct verb pause_verb, resume_verb, update_verb, events_verb;
extern const struct verb features_verb, spec_verb;
