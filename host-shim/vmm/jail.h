/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jail: what a process gives up before it reads bytes of the guest.
 *
 * In this order, each for good:
 *
 *	jail_fork()    makes the process, in namespaces of its own as far as the kernel lets us;
 *	               then the process opens all files that it will ever need;
 *	jail_enter()   closes the process: descriptors, root directory, identity, capabilities,
 *	               limits, Landlock; then it makes its machine of what is open, and threads;
 *	jail_thread()  in each thread, the first one last: only the system calls of its kind.
 *
 * A process that needs no namespaces may be made by fork(2) and only call the latter two. Nothing
 * here needs root: what the kernel refuses to an ordinary user is left out, and `held` says what
 * was had. no_new_privs, the capabilities, the limits and the filters are never left out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/error.h"

/* Bits of `held`. */
enum jail_part {
	JAIL_HAS_USER =
	    1 << 0, /* user namespace (not needed by root, who leaves his uid instead) */
	JAIL_HAS_MOUNT = 1 << 1,
	JAIL_HAS_NET = 1 << 2,
	JAIL_HAS_PID = 1 << 3,
	JAIL_HAS_IPC = 1 << 4,
	JAIL_HAS_UTS = 1 << 5,
	JAIL_HAS_EMPTY_ROOT = 1 << 6,
	JAIL_HAS_UID = 1 << 7,      /* no longer root */
	JAIL_HAS_LANDLOCK = 1 << 8, /* no file can be opened */
};

struct jail {
	const int *keep; /* descriptors that stay open; all others are closed */
	size_t n_keep;
	const char *folder; /* stays reachable under its name; NULL: nothing does. No ".." in it */
	uid_t uid;          /* who root becomes; 0: JAIL_NOBODY; or JAIL_STAY */
	gid_t gid;          /* as uid */
	uint64_t max_files; /* descriptors; 0: as many as are kept now, and no more */
	uint64_t max_file_size; /* bytes a file may grow to; 0: no limit of ours */
	unsigned int held; /* out: enum jail_part; jail_fork() sets it, jail_enter() adds to it */
	int caller;        /* jail_fork()'s alone: a pidfd of the caller and 1, or 0 */
};

#define JAIL_NOBODY 65534u
#define JAIL_STAY   ((uid_t)-1) /* root keeps his uid, to reach what only root may by name */

/* Forks. Returns 0 in the caller, who waits for *pid as for any child, and 1 in the child, which is
 * killed when the calling thread ends. The child is process 1 of its PID namespace where it got
 * one: signals that it does not handle do not end it, SIGKILL does. May be called by a process with
 * threads; its child has one. Only j->held is touched. */
int jail_fork(struct jail *j, pid_t *pid, struct error *err);

/* Opens a file for reading as somebody without capabilities, for whom the kernel leaves things out:
 * /proc/self/pagemap without the places of pages in the host's memory. -errno. */
int jail_open_plain(const char *path);

/* Closes the calling process in. No thread may run yet: they would stay outside. */
int jail_enter(struct jail *j, struct error *err);

/* The kinds of threads; jail_filter.c has their system calls. */
enum jail_thread {
	JAIL_THREAD_DEVICES, /* the loop: device models, pausing, saving, plugging */
	JAIL_THREAD_VCPU,    /* KVM_RUN */
	JAIL_THREAD_STORAGE, /* reads and writes of a disk that may block */
	JAIL_THREAD_VSOCK,   /* the vsock device alone, in a process beside QEMU */
	JAIL_THREADS,
};

/* From here on a system call that is not on the list of this kind of thread, or not with the
 * arguments that the list allows, ends the whole process (SIGSYS). */
int jail_thread(enum jail_thread kind, struct error *err);
