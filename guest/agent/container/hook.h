/* SPDX-License-Identifier: Apache-2.0 */
/* hook: running the programs of a hook point (config.md, "POSIX-platform Hooks"). */
#pragma once

#include "guest/agent/container/state.h"
#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

/* Runs them one after the other, each with the state on stdin, and waits: never in an event
 * loop. A failing or overdue one (it is killed) ends the list with an error that names it
 * and the end of what it wrote to stderr. */
int hooks_run(const struct oci_hooks *hooks, const char *point, const struct state *state,
              struct error *err);
