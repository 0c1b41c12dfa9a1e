/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container: OCI containers, made and driven without ever blocking the caller.
 *
 * Two faces use it: the agent (PID 1, one event loop) and kihon-oci (a command
 * that may wait). Creating is asynchronous: container_create() forks the
 * container's init, which sets itself up in its own namespaces, and returns.
 * The outcome arrives on a descriptor that the agent watches and the command
 * simply polls:
 *
 *	container_create()
 *	  watch container_process_fd(init) for EPOLLIN
 *	  container_process_handle() == 1   not yet, keep watching
 *	                             == 0   created: init waits for container_start()
 *	                             <  0   failed, err says why; destroy the container
 *	container_start()
 *	  container_process_handle() == 1   not yet
 *	                             == 0   the program runs; stop watching (fd is closed)
 *	                             <  0   it could not be executed
 *	the program ends: the caller's child watcher (or waitpid) reaps it and tells
 *	  container_process_exited()
 *	container_destroy() until it returns 0
 *
 * container_exec() gives a further process that goes the same way without the
 * created stop: 0 means that it runs.
 *
 * Errors: -EINVAL a specification that cannot be honoured, -ENOENT/-EACCES the
 * program or a path, else what the kernel said; the text names the step.
 *
 * After fork the child allocates only from what it inherited copy-on-write; in
 * the caller a container costs a few KiB: the specification may be freed as soon
 * as container_create() returned.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

struct container;
struct container_process;

struct container_opts {
	const char *id;     /* required */
	const char *bundle; /* absolute; for hooks' state and relative root.path; may be NULL */

	/* Descriptors that become 0, 1, 2; -1: /dev/null. Not used with a terminal.
	 * They stay the caller's, to be closed after the call. A regular pipe is best:
	 * programs reopen /proc/self/fd/1, which a socket refuses. */
	int stdio[3];
	/* Descriptors 3 .. 3+preserve_fds-1 of the caller are passed on as they are. */
	unsigned int preserve_fds;

	/* cgroup v2: linux.cgroupsPath (default "/<id>") is taken below this directory,
	 * an absolute path; NULL: the cgroup2 mount of /proc/self/mountinfo. */
	const char *cgroup_root;
	bool no_cgroup; /* none at all (rootless without delegation): kill through the pid namespace
	                 */
	/* None where the caller may not make one and the resources set no limit: what engines of
	 * ordinary users expect. */
	bool cgroup_optional;

	/* A unix socket path to listen at for the start command, so that a later process
	 * can start the container; NULL: only container_start() of this object can. */
	const char *start_socket;

	bool no_pivot;        /* move-mount and chroot also where pivot_root would work */
	bool die_with_parent; /* PR_SET_PDEATHSIG SIGKILL for init */
	bool no_new_keyring;  /* keep the caller's session keyring */
	/* The caller may wait, and has memory to spare: container_create() makes both filters while
	 * init sets itself up, and on an error waits for init's end, which storage may delay. Else
	 * it forks init last, which compiles linux.seccomp when it is done with the rest. */
	bool caller_waits;
	/* Kernel parameters that no namespace of the container separates are refused, unless
	 * the whole machine is the container's (the agent: Kata sets net.* of the VM). */
	bool allow_global_sysctls;
	/* A specification without a mount namespace is refused, unless this is set: its mounts are
	 * the runtime's too, and container_destroy() has to take them away. */
	bool allow_shared_mounts;
};

/* ---- life ---- */

/* Checks the specification, makes the cgroup and forks init. On error nothing is
 * left behind. The spec is only read, until this returns. */
int container_create(const struct container_opts *opts, const struct oci_spec *spec,
                     struct container **out, struct error *err);

/* Takes hold of a container that an earlier process created. `init_start_time` is
 * field 22 of /proc/PID/stat: when it differs, the container counts as stopped. */
struct container_record {
	const char *id;
	const char *bundle;
	const char *cgroup_path; /* absolute directory, or NULL */
	pid_t init_pid;
	uint64_t init_start_time;
	const char *start_socket; /* as in container_opts, or NULL */
	const char *filter_path;  /* a copy of what container_filter_fd() gave, or NULL */
	const char *shared_root;  /* as container_shared_root() gave them */
	uint64_t shared_root_below;
};
int container_attach(const struct container_record *rec, const struct oci_spec *spec,
                     struct container **out, struct error *err);

/* With a start socket: a record of the container is kept, so that it shall outlive the caller.
 * Until then the end of the caller is its end, too. */
int container_keep_created(struct container *c, struct error *err);

/* Lets init execute the program. -EBUSY unless created and not started. */
int container_start(struct container *c, struct error *err);

/* A further process in the container. `process` is read until this returns; absent
 * capabilities are the container's own. stdio as in container_opts. */
struct container_exec_opts {
	int stdio[3];
	unsigned int preserve_fds;
	bool die_with_parent;
	/* Sub-cgroup of the container's to join, and no other. NULL: the container's, or that of
	 * its first process where the former takes none. */
	const char *cgroup;
};
int container_exec(struct container *c, const struct oci_process *process,
                   const struct container_exec_opts *opts, struct container_process **out,
                   struct error *err);

/* Kills what is left, waits for nothing. 0: nothing is left, the cgroup is gone.
 * 1: processes are still dying; call again when container_cgroup_events_fd()
 * polls EPOLLPRI, or some ms later. Negative: the cgroup could not be removed. */
int container_destroy(struct container *c, struct error *err);

/* Frees the object (and its processes' objects that were not freed), closes its
 * descriptors; kills nothing. NULL is fine. */
void container_free(struct container *c);
DEFINE_CLEANUP(struct container, container, container_free)
#define _cleanup_container_ _cleanup_(cleanup_container)

/* ---- looking ---- */

enum container_status {
	CONTAINER_CREATING,
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_PAUSED,
	CONTAINER_STOPPED,
};
enum container_status container_status(const struct container *c);
const char *container_status_name(enum container_status s); /* the OCI state words */
const char *container_id(const struct container *c);
/* Absolute directory of its cgroup, NULL without one. */
const char *container_cgroup_path(const struct container *c);
/* The compiled system call filter (a memfd, the container's own), once created; -1: none.
 * Its bytes, kept in a file, are what container_record.filter_path wants. */
int container_filter_fd(const struct container *c);
/* For a container without a mount namespace of its own: its root file system, and the number of the
 * mount that was there before (for container_record); else NULL. */
const char *container_shared_root(const struct container *c, uint64_t *below);
/* O_PATH|O_DIRECTORY descriptor of the cgroup (the container's own), -1 without. */
int container_cgroup_fd(const struct container *c);
/* cgroup.events, readable; polls EPOLLPRI on change. Opened on first use, -1 without. */
int container_cgroup_events_fd(struct container *c);
/* Process ids (as seen by the caller) in the cgroup and below: malloc'ed, *n of them. */
int container_pids(const struct container *c, pid_t **pids, size_t *n, struct error *err);
/* The OCI state as JSON (runtime.md, "State") into fresh memory; NULL when memory is full. */
char *container_state_json(const struct container *c);

/* ---- acting on all of it ---- */

/* Every process at once: cgroup.kill for SIGKILL, else one by one. */
int container_signal_all(struct container *c, int signo, struct error *err);
int container_pause(struct container *c, struct error *err); /* cgroup.freeze; -ENOTSUP without */
int container_resume(struct container *c, struct error *err);
/* Lowering a memory limit below what is in use reclaims, and so may take long: an event loop
 * calls this in a forked process. It changes nothing but the cgroup. */
int container_update(struct container *c, const struct oci_resources *res, struct error *err);

/* Forks a runner for the poststart or poststop hooks; *runner is its pid for the
 * caller to reap (0: there are none). The runner exits 0, or 1 after logging which
 * hook failed (runtime.md: such failures are warnings). */
int container_run_hooks(struct container *c, enum oci_hook_point point, pid_t *runner,
                        struct error *err);

/* ---- one process ---- */

struct container_process *container_init(struct container *c); /* never NULL */

pid_t container_process_pid(const struct container_process *p);
/* Field 22 of /proc/PID/stat, which with the pid says who it is; 0 when it is gone. */
uint64_t container_process_start_time(const struct container_process *p);
/* What to watch until the outcome is known; -1 when there is nothing to come. */
int container_process_fd(const struct container_process *p);
/* Reads what has arrived; see the top. Never blocks. */
int container_process_handle(struct container_process *p, struct error *err);
/* Blocking form for commands: polls until 0 or an error; timeout_ms < 0: for ever. */
int container_process_wait_ready(struct container_process *p, int timeout_ms, struct error *err);
/* The pty master, from when container_process_handle() returned 0; -1 if no terminal.
 * Ownership moves to the caller, once. */
int container_process_take_console(struct container_process *p);
/* The seccomp notification listener, likewise, when the program runs. */
int container_process_take_seccomp(struct container_process *p);
/* Sends a signal by pidfd. 0 also when it is gone already (ESRCH). */
int container_process_signal(struct container_process *p, int signo, struct error *err);
/* Does the process handle, ignore or block the signal (/proc/PID/status)? For the rule
 * that a SIGTERM nobody handles becomes SIGKILL. */
bool container_process_handles(const struct container_process *p, int signo);
/* The same of one that may be waiting for it in sigwait(3), as small inits do. For helpers: looking
 * there reads the process's memory, which may be behind a file system of the container's. */
bool container_process_awaits(const struct container_process *p, int signo);
/* Tells the engine that the caller reaped it; status is waitpid(2)'s. */
void container_process_exited(struct container_process *p, int status);
bool container_process_has_exited(const struct container_process *p);
/* 0..255, or 128+signal; -1 while it lives. */
int container_process_exit_code(const struct container_process *p);
/* For processes of container_exec(); the init's object belongs to the container. */
void container_process_free(struct container_process *p);
DEFINE_CLEANUP(struct container_process, container_process, container_process_free)
#define _cleanup_container_process_ _cleanup_(cleanup_container_process)
