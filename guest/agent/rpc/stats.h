/* SPDX-License-Identifier: Apache-2.0 */
/* stats: what a control group's files say, in the words of the protocol. */
#pragma once

#include "lib/base/arena.h"
#include "lib/rpc/proto/agent.pb-c.h"

/* dir: of the group, which is `path` (NULL: no huge pages). What is missing or is no number is 0.
 * -ENOMEM. */
int stats_of_cgroup(struct arena *a, int dir, const char *path, Grpc__CgroupStats *out);
