/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process: starting programs with exactly the descriptors they should have.
 *
 * process_spawn() forks, puts the listed descriptors at 0..n, closes all others
 * (close_range), resets signals, optionally drops to a uid/gid, and execs. A
 * failed exec is reported to the caller through a pipe, with its errno.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bytes.h"
#include "error.h"

#define PROCESS_MAX_FDS 24

struct process_opts {
	const char *path;         /* program; looked up in PATH when without '/' */
	char *const *argv;        /* NULL-terminated */
	char *const *envp;        /* NULL: the caller's environment */
	int fds[PROCESS_MAX_FDS]; /* become 0..n_fds-1 in the child; -1 means /dev/null */
	unsigned int n_fds;
	bool drop; /* setgroups(0), setgid(gid), setuid(uid), no_new_privs */
	uid_t uid;
	gid_t gid;
	bool new_group;                 /* setpgid(0, 0) */
	bool die_with_parent;           /* PR_SET_PDEATHSIG SIGKILL */
	int (*before_drop)(void *data); /* as `child`, while still privileged; may be NULL */
	int (*child)(void *data);       /* runs just before exec; non-zero errno fails the spawn */
	void *child_data;
};

int process_spawn(const struct process_opts *o, pid_t *pid, struct error *err);

/* Runs to the end with stdin from /dev/null and collects stdout (at most max_out
 * bytes) and, when err_out is not NULL, stderr. Returns 0 and the wait status. */
int process_run(char *const *argv, struct buffer *out, struct buffer *err_out, size_t max_out,
                int *status, struct error *err);

/* Every signal to its default action, none blocked: for a child before it executes. */
void process_reset_signals(void);

/* Gives back the memory that deeper calls than the caller's took for their stack: a start takes
 * more than a process that then waits for days. For a process's first thread. */
void process_trim_stack(void);

int process_pidfd_open(pid_t pid);
int process_pidfd_send(int pidfd, int signo);

/* 0..255 of an exit, 128+signal of a signal death. */
int process_exit_code(int wait_status);
