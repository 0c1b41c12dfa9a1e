/* SPDX-License-Identifier: Apache-2.0 */
/* builtin_parts: what the files of the built-in monitor's process share: the inside of it. */
#pragma once

#include "host-shim/hypervisor/builtin_process.h"
#include "host-shim/vmm/devices/io_pool.h"
#include "host-shim/vmm/devices/pmem.h"
#include "host-shim/vmm/vm.h"
#include "lib/base/loop.h"

/* All of it leaves with the process. */
struct monitor {
	const struct hypervisor_config *config;
	const struct builtin_fds *fds;
	const char *vsock_path;
	int disks[HYPERVISOR_DISKS_MAX];
	struct builtin_go go;
	struct loop *loop;
	struct io_pool *pool;
	struct vm *vm;
	struct pmem_backing root;
	struct virtio_device *vsock, *balloon; /* NULL: none */
	bool restored; /* from a template: devices go into its empty slots */
	struct loop_source *stats, *control, *timer;
	int smaps;   /* -1: this host has none */
	int pagemap; /* of a clone, or -1 */
	uint64_t started_ns;
	unsigned int n_rests; /* how often a clone has given back memory */
	int exit_status;      /* what the exit port was told, or -1 */
};

/* Gives the machine, which is not booted, all devices that the configuration names, or those that
 * its template has; and empty slots. */
int builtin_devices_add(struct monitor *m, struct error *err);
/* Gives a machine that was restored from a template what is its own: network and disks. */
int builtin_devices_plug(struct monitor *m, struct error *err);
/* A network: fd is passt's stream, or a tap, and stays the caller's. */
int builtin_net_new(struct virtio_device **out, struct monitor *m, const struct guest_net *n,
                    int fd, struct error *err);
/* A file system that the process at the other end of the stream serves; fd is taken on success. */
int builtin_fs_new(struct virtio_device **out, struct monitor *m, int fd, const char *tag,
                   struct error *err);
