/* SPDX-License-Identifier: Apache-2.0 */
/* capability: names into sets, and the sets of this process (capabilities(7)). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

struct capability_sets {
	uint64_t bounding;
	uint64_t effective;
	uint64_t inheritable;
	uint64_t permitted;
	uint64_t ambient;
};

/* NULL: no capabilities. What this kernel does not know, and ambient ones that are not both
 * permitted and inheritable, are left out, with a warning where asked for (config.md,
 * "capabilities"). */
void capability_sets_parse(const struct oci_capabilities *c, bool warn,
                           struct capability_sets *out);
/* Number of "CAP_KILL", -1 if there is none. */
int capability_number(const char *name);
/* "CAP_KILL" of 5, NULL beyond. */
const char *capability_name(int number);

/* In this order: the bounding set while CAP_SETPCAP is there; then, uid and gid having been
 * changed with capability_keep() before, the others. */
int capability_drop_bounding(const struct capability_sets *sets, struct error *err);
int capability_keep(struct error *err);
/* After a change of uid: everything permitted is effective again. */
int capability_regain(struct error *err);
int capability_apply(const struct capability_sets *sets, struct error *err);
