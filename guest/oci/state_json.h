/* SPDX-License-Identifier: Apache-2.0 */
/* state_json: a container's state with what runc and crun add to the specification's. */
#pragma once

#include "lib/base/bytes.h"
#include "lib/base/error.h"

enum state_json_form {
	STATE_JSON_LINES,   /* a member a line, with all of them */
	STATE_JSON_COMPACT, /* one line, without annotations where there are none */
};

/* runtime.md's members, then rootfs, created and owner. */
int state_json_write(const char *id, enum state_json_form form, struct buffer *out,
                     struct error *err);
