/* SPDX-License-Identifier: Apache-2.0 */
/* stats: what cgroup v2 counts for a container, in the JSON of `runc events`. */
#pragma once

#include "lib/base/bytes.h"

/* Appends the object. A controller that is not there leaves its part out. */
void stats_write(int cgroup_fd, struct buffer *out);
/* How many of its processes were killed for want of memory. */
uint64_t stats_oom_kills(int dir);
