/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock_process: the vsock device in a process of its own.
 *
 * It faces the guest's bytes, so it can do little else: forked before its parent
 * reads a secret, jailed (host-shim/vmm/jail.h) with unix sockets only. It dies
 * with the thread that started it.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "lib/base/error.h"

struct vsock_process {
	pid_t pid;
	int fd;     /* for the front end: hand it to QEMU, then close it */
	int errors; /* when the process failed, its one line is in this pipe */
};

/* path: of vsock_bind(), whose descriptor listen_fd is; it stays the caller's, who should
 * close it afterwards. Call it before there are threads. */
int vsock_process_start(struct vsock_process *out, uint64_t guest_cid, const char *path,
                        int listen_fd, struct error *err);
