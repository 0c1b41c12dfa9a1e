/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup: the control group of a container (cgroup v2; config-linux.md, "Control
 * groups"). Version 1 hierarchies are not used: a controller that sits in one is
 * reported as missing.
 *
 * All of it is short writes to cgroupfs, but for memory limits below what is in use:
 * setting those reclaims first, so an update belongs in a process that may wait.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

struct cgroup {
	char *path;    /* absolute directory */
	int fd;        /* of it, O_PATH */
	int events_fd; /* cgroup.events, when asked for */
};

#define CGROUP_INIT                                                                                \
	{                                                                                          \
		NULL, -1, -1                                                                       \
	}

/* The first cgroup2 mount of the caller's mount namespace, into fresh memory. -ENOENT. */
int cgroup_find_root(char **out, struct error *err);

/* Makes the directory (and missing parents) below root, the controllers enabled down the
 * way: all that are there; one that the resources need and is not is -ENOTSUP. A group that
 * has processes already is -EBUSY. `path` must have no "..". */
int cgroup_create(const char *root, const char *path, const struct oci_resources *res,
                  struct cgroup *out, struct error *err);
int cgroup_open(const char *path, struct cgroup *out, struct error *err);
/* The directory that a process is in now. */
int cgroup_open_of_process(pid_t pid, int *fd, struct error *err);
void cgroup_close(struct cgroup *c);

/* Writes limits; only what is set. cgroup_resources.c. */
int cgroup_apply(const struct cgroup *c, const struct oci_resources *res, struct error *err);
/* Controllers (bits of our table) that resources need, for cgroup_create(). */
uint32_t cgroup_controllers_needed(const struct oci_resources *res);
/* Gives the group to a user of the container (config-linux.md, "Cgroup ownership"). */
int cgroup_delegate(const struct cgroup *c, uid_t uid, struct error *err);

int cgroup_kill(const struct cgroup *c, struct error *err); /* SIGKILL to all */
int cgroup_freeze(const struct cgroup *c, bool freeze, struct error *err);
/* 1 yes, 0 no, negative errno. */
int cgroup_is_populated(const struct cgroup *c);
int cgroup_is_frozen(const struct cgroup *c);
int cgroup_events_fd(struct cgroup *c);
/* Process ids in it and below; malloc'ed. */
int cgroup_pids(const struct cgroup *c, pid_t **pids, size_t *n, struct error *err);
/* Removes it and what is below. 0: gone; 1: still busy. */
int cgroup_remove(const struct cgroup *c, struct error *err);

/* A value of a flat-keyed file ("populated 1" of cgroup.events). -ENOENT without. */
int cgroup_read_key(const struct cgroup *c, const char *file, const char *key, uint64_t *out);
