/* SPDX-License-Identifier: Apache-2.0 */
/* child: what the back ends share about the processes that run a guest for them. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "host-shim/hypervisor/hypervisor.h"
#include "lib/base/bytes.h"

/* 0 when a program of that name is in PATH, else -ENOENT. */
int child_find_program(const char *name);

/* Whether a file that a guest is made of can be read; path NULL: there is none. */
int child_check_file(const char *what, const char *path, struct error *err);

/* Two connected sockets; ours does not block. */
int child_make_pair(int *ours, int *theirs, struct error *err);

/* Calls fn(data) on the loop when the process has ended. *pidfd is the caller's. */
int child_watch(struct loop *loop, pid_t pid, loop_fd_fn fn, void *data, int *pidfd,
                struct loop_source **src, struct error *err);

/* Reads what is there into `b`, which keeps no more than `keep` bytes; false at the end. */
bool child_read(int fd, struct buffer *b, size_t keep);

/* Reads what is there and gives it to hypervisor_take_console(); false at the end. */
bool child_read_console(int fd, struct hypervisor *hv);

/* Forgets a source and closes its descriptor. */
void child_drop(struct loop_source **src, int *fd);

/* Ends it and waits; *pid is 0 afterwards, and may be before. */
void child_kill(pid_t *pid);

/* Begins a connection to the guest's port through the socket of vsock_bind(); path NULL: the guest
 * has no vsock. See hypervisor_vsock_connect(). */
int child_vsock_connect(const char *path, uint32_t port, struct error *err);
