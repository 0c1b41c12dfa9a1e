/* SPDX-License-Identifier: Apache-2.0 */
/* state_json: a container's state with what runc and crun add to the specification's. */
#pragma once

#include "lib/base/bytes.h"
#include "lib/base/error.h"

/* runtime.md's members, then rootfs, created and owner; `annotations` as one chooses. */
int state_json_write(const char *id, bool annotations, struct buffer *out, struct error *err);
