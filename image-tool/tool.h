/* SPDX-License-Identifier: Apache-2.0 */
/* tool: what the verbs of kata-image-tool share: the table of them, and being interrupted. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/base/options.h"

#define TOOL_NAME "kata-image-tool"

extern const struct verb verb_build, verb_kernel, verb_pack, verb_convert, verb_inspect, verb_diff,
    verb_verify, verb_measure, verb_sbom, verb_publish, verb_fetch;

/* SIGINT, SIGTERM or SIGHUP has come: finish what must not stay half done and return. */
bool tool_interrupted(void);
/* The same, for libraries that look at it themselves (http.h). */
const atomic_bool *tool_stop(void);
/* From now on these signals are only noted. */
void tool_catch_signals(void);

/* Prints the error; the exit status (128 + signal when interrupted). */
int tool_fail(const struct error *err);
