/* SPDX-License-Identifier: Apache-2.0 */
/* state: a container's state as JSON (runtime.md, "State"), for hooks and commands. */
#pragma once

#include <sys/types.h>

#include "lib/base/bytes.h"
#include "lib/oci/runtime_spec.h"

struct state {
	const char *version;
	const char *id;
	const char *status;
	pid_t pid; /* 0: none */
	const char *bundle;
	const struct oci_map *annotations;
};

/* Appends the object. */
void state_write(const struct state *s, struct buffer *out);
