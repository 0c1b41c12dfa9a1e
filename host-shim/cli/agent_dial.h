/* SPDX-License-Identifier: Apache-2.0 */
/* agent_dial: a connection to the agent of a guest that runs, for verbs that make a call and end.
 */
#pragma once

#include "lib/base/error.h"

#define AGENT_PORT 1024

/* By the guest's runtime folder; a connected socket. It is tried until timeout_ms are over. */
int agent_dial(const char *runtime_dir, unsigned int timeout_ms, struct error *err);
