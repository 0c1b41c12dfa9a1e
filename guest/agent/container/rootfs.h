/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootfs: the file tree of a container, made by its first process from inside its
 * mount namespace (config.md "Root", "Mounts"; config-linux.md "Masked Paths",
 * "Readonly Paths", "Rootfs Mount Propagation").
 */
#pragma once

#include <stdbool.h>

#include "guest/agent/container/namespace.h"
#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

struct rootfs {
	const struct oci_spec *spec;
	const struct namespace_plan *namespaces;
	const char *path;   /* of the root file system */
	char *real;         /* the same without links and dots; owned */
	const char *bundle; /* what relative sources start from, or NULL */
	int helper_fd;      /* asks the runtime's side for sources it alone may open; -1: none */
	const char *cgroup_path; /* directory of the container's cgroup, NULL: none */
	bool no_pivot;
	bool dev_readonly; /* /dev, at the end */
	bool shared;       /* no mount namespace: everything is mounted in the runtime's */
	int fd;            /* the root mount, once rootfs_open() was called */
	int null_mount;    /* the runtime's /dev/null, detached until the first mask used it */
};

/* Cuts propagation to the runtime and makes the root a mount of its own. */
int rootfs_open(struct rootfs *root, struct error *err);
/* All mounts of the specification, in order. */
int rootfs_mount_all(struct rootfs *root, struct error *err);
/* Makes it "/" of this process, the old root gone. */
int rootfs_enter(struct rootfs *root, struct error *err);
/* Masked and read-only paths, a read-only root, the root's propagation. */
int rootfs_protect(struct rootfs *root, struct error *err);
void rootfs_close(struct rootfs *root);

/* For containers without a mount namespace: the number of the mount that `path` is on (0: unknown),
 * and the end of what was mounted there since. */
uint64_t rootfs_mount_number(const char *path);
int rootfs_detach(const char *path, uint64_t below, struct error *err);

/* Is it a bind mount that shows other ids? */
bool rootfs_mount_maps_ids(const struct oci_mount *m);

/* Opens the source of mount number `index` detached, in the runtime's namespaces: used
 * directly, or by the helper for a container with its own user namespace. */
int rootfs_open_source(const struct oci_spec *spec, size_t index, const char *bundle,
                       struct error *err);
