/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group: a control group of its own for the process that runs a guest.
 *
 * Below the caller's group of cgroup v2, where the caller may make one: whoever runs the host sees
 * there what a guest takes, and can bound it; the process cannot become many (pids.max). On a host
 * without cgroup v2, or for a user whose group is not his to divide, there is none, which is no
 * error. The group goes with the guest; one that a killed `kihon` left goes when the next is made.
 */
#pragma once

#include <sys/types.h>

/* Puts `pid` into the group "kihon-ID". Its absolute path in fresh memory; NULL: there is none. */
char *group_make(const char *id, pid_t pid, unsigned int threads_max);

/* Whether the kernel killed a process of the group for want of memory, whoever's limit that was:
 * then a phrase in fresh memory, which names the group's own limit; else, and where the group has
 * no memory controller, NULL. */
char *group_out_of_memory(const char *path);

/* The group's processes must have ended. NULL is fine; frees the path. */
void group_remove(char *path);
