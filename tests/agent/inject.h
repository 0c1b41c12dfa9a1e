/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject: what a driver and an agent under test share: which call of which class fails next, and
 * what has been counted. It is the one page of the file named by the environment's KIHON_INJECT.
 *
 * The agent is linked with inject.c, whose malloc(3), open(2), fork(2) and so on count and fail.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum inject_class {
	INJECT_MEMORY =
	    1,            /* ENOMEM: the heap; what the kernel allocates for epoll, pipes, mounts */
	INJECT_FILES = 2, /* EMFILE: whatever makes a descriptor */
	INJECT_FORK = 4,  /* EAGAIN */
	INJECT_DISK = 8,  /* ENOSPC: whatever makes a file or writes to one */
	INJECT_KILL = 16, /* SIGKILL to the caller: for children of the agent */
};

struct inject_page {
	_Atomic uint32_t classes;  /* armed; 0: none */
	_Atomic uint32_t children; /* 0: the agent itself, 1: the processes that it forks */
	_Atomic uint32_t on;       /* 0: only call `at` fails, 1: it and all after it */
	_Atomic uint64_t at;       /* from 1 */
	_Atomic uint64_t counter;  /* calls of the armed classes so far */
	_Atomic uint64_t fired;    /* that failed */
	_Atomic int64_t live;      /* blocks of the agent's heap */
};
