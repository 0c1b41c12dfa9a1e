/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * record: what the programs in the kernel write into the ring buffer, one record an event, in the
 * byte order of the machine. Included by both sides, hence nothing but fixed types.
 */
#pragma once

#include <linux/types.h>

/* Numbers of the kinds: bits in trace_config.kinds, and trace_record.kind. */
enum trace_kind {
	TRACE_FORK,
	TRACE_EXEC,
	TRACE_EXIT,
	TRACE_OOM,
	TRACE_OPEN,
	TRACE_CONNECT,
	TRACE_ACCEPT,
	TRACE_N_KINDS,
};

struct trace_config {
	__u64 cgroup; /* id of the control group that is looked at */
	__u64 pidns_dev,
	    pidns_ino; /* the kernel's numbers of the container's pid namespace; 0: none */
	__u32 level;   /* of the control group, the root's being 0; or TRACE_LEVELS */
	__u32 kinds;
};

/* The level is not known: looked for among so many. */
#define TRACE_LEVELS 64

#define TRACE_COMM     16
#define TRACE_PATH     4096 /* PATH_MAX, its NUL included */
#define TRACE_SOCKADDR 128  /* sizeof(struct sockaddr_storage) */

/* TRACE_EXIT: how it ended, in `result`: what exit(2) was given, or this and the signal, which is 0
 * when it is not known. */
#define TRACE_SIGNALLED 0x100

struct trace_record {
	__u64 time;   /* CLOCK_BOOTTIME, ns */
	__s64 result; /* of the system call; see also TRACE_SIGNALLED */
	__u64 flags;  /* TRACE_OPEN: open(2)'s */
	__s32 dirfd;  /* TRACE_OPEN */
	__u32 kind;
	__u32 pid, tid;  /* the guest's numbers */
	__u32 inner_pid; /* the container's, 0 when it has none there */
	__u32 uid;       /* the guest's */
	__u32 child;     /* TRACE_FORK: the guest's number */
	__u32 size;      /* of data: a path with its NUL, or a struct sockaddr */
	char comm[TRACE_COMM];
	__u8 data[TRACE_PATH];
};

#define TRACE_HEAD (sizeof(struct trace_record) - TRACE_PATH)
