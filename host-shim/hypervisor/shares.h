/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shares: folders of the host that a guest mounts by a tag (virtio-fs), each served by
 * virtiofsd(1).
 *
 * One process a folder, which confines itself to it; it is given the guest's memory, which is
 * therefore shared memory. It ends with the guest, and the guest with it.
 */
#pragma once

#include <sys/types.h>

#include "lib/base/error.h"
#include "lib/base/loop.h"

struct hypervisor;

struct share {
	struct hypervisor *hv;
	pid_t pid;  /* 0: none runs */
	int stream; /* the device's end of the vhost-user connection; -1: handed on */
	int errors, pidfd;
	struct loop_source *src;
};

/* Whether virtiofsd is there, the folders are, and their tags differ and fit. */
int shares_check(const struct hypervisor *hv, struct error *err);
/* Starts them all, before the guest's process: each stream is the back end's to close or not. */
int shares_start(struct hypervisor *hv, struct error *err);
/* Ends them and waits. Fine twice. */
void shares_stop(struct hypervisor *hv);

/* Serves one folder for a guest that runs: *stream is for its monitor, the caller's. The process
 * stays behind when the caller ends, until the other end of the stream is closed. */
int share_leave(const char *runtime_dir, const char *path, int *stream, struct error *err);
