/* SPDX-License-Identifier: Apache-2.0 */
/* internal: the objects behind container.h, shared by container.c and process.c only. */
#pragma once

#include "guest/agent/container/capability.h"
#include "guest/agent/container/cgroup.h"
#include "guest/agent/container/container.h"
#include "lib/base/arena.h"

struct container_process {
	struct container *container;
	struct container_process *next; /* of the container's further processes */
	pid_t pid;
	int pidfd;
	int sync_fd;
	int console_fd;
	int listener_fd;
	bool ready;     /* init: set up, or started */
	bool started;   /* init: container_start() was called; others: always */
	bool executing; /* said that it is about to execve */
	bool running;   /* did so */
	bool exited;
	int status; /* waitpid's */
};

struct container {
	struct container_process init;
	struct container_process *others;
	char *id;
	char *bundle;
	char *start_socket;
	struct cgroup cgroup; /* fd < 0: none */
	bool no_cgroup;       /* on purpose */
	bool private_user;
	bool private_pid;
	bool attached;            /* made by an earlier process: not our child */
	uint64_t init_start_time; /* attached */
	int filter_fd;
	char *shared_root; /* NULL: it has a mount namespace */
	uint64_t shared_root_below;

	/* What later processes and hooks need of the specification. */
	struct arena kept;
	const char *version;
	struct oci_map annotations;
	struct oci_hooks poststart;
	struct oci_hooks poststop;
	struct capability_sets capabilities;
	const char *apparmor;
	const char *selinux;
	struct oci_personality *personality;
};

void process_init(struct container_process *p, struct container *c);
/* Closes its descriptors. */
void process_close(struct container_process *p);
/* Field 22 of /proc/PID/stat, 0 when there is no such process (or it is a zombie). */
uint64_t process_start_time(pid_t pid);

/* Fields set to nothing; NULL on a full memory. */
struct container *container_alloc(const char *id, const char *bundle, const char *start_socket);
/* Copies what is needed of the specification later. */
int container_keep(struct container *c, const struct oci_spec *spec, struct error *err);
