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

/* Unknown names: those that this kernel does not know are left out; what is no name of a
 * capability at all is -EINVAL. NULL: no capabilities. */
int capability_sets_parse(const struct oci_capabilities *c, struct capability_sets *out,
                          struct error *err);
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
