/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync: the few words that a container's first process and its maker exchange.
 *
 * A SOCK_SEQPACKET pair (or a connection to the start socket), one message a
 * packet, at most one descriptor with it. A peer's end of file is an answer too:
 * after SYNC_EXECUTING it means that execve succeeded, for the descriptor is
 * close-on-exec.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "lib/base/error.h"

enum sync_type {
	SYNC_NONE,
	/* from the child */
	SYNC_ERROR,     /* code, kind, text: it failed and ends */
	SYNC_PROGRAM,   /* descriptor: the compiled seccomp program; also to the child */
	SYNC_CONSOLE,   /* descriptor: the pty master */
	SYNC_READY,     /* set up; waits for SYNC_START */
	SYNC_LISTENER,  /* descriptor: the seccomp notification listener */
	SYNC_EXECUTING, /* the next thing is execve */
	/* to the child */
	SYNC_START,
	SYNC_KEPT, /* the maker has kept a record: its end of file is no reason to end */
	/* between the child and the helper in the runtime's namespaces (helper.h) */
	SYNC_MAP_IDS,
	SYNC_MOUNT_SOURCE, /* code: index into the mounts; answered with a descriptor */
	SYNC_HOOKS,
	SYNC_DONE,
	SYNC_PID, /* code: the process that a joiner made (spawn.h) */
};

struct sync_message {
	uint32_t type;
	int32_t code;
	uint32_t kind;
	char text[ERROR_TEXT_MAX];
};

int sync_pair(int fds[2], struct error *err);
/* fd_to_pass may be -1. 0 or a negative errno. Never raises SIGPIPE. */
int sync_send(int fd, enum sync_type type, int code, int fd_to_pass);
int sync_send_error(int fd, const struct error *error);
/* 1: a message; 0: end of file; -EAGAIN: nothing yet (with MSG_DONTWAIT); else what
 * recvmsg said. *passed_fd is -1 or a descriptor that is the caller's now. */
int sync_recv(int fd, struct sync_message *m, int *passed_fd, int flags);
/* Waits for exactly `want`; a SYNC_ERROR becomes err. `who` names the peer. */
int sync_expect(int fd, enum sync_type want, int *passed_fd, const char *who, struct error *err);
/* Turns a SYNC_ERROR message into err and returns its code. */
int sync_take_error(const struct sync_message *m, struct error *err);
