/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox: what is left to a process that reads hostile bytes - the files that it was
 * told of, and sockets when it needs them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"

#define SANDBOX_PATHS 8

struct sandbox {
	const char *write_dir;           /* the one folder that may change; must be there */
	const char *read[SANDBOX_PATHS]; /* files and folders; NULL entries are skipped */
	bool network;
	uint64_t max_file;   /* bytes of a file that it writes */
	uint64_t max_memory; /* bytes of its own memory */
};

/*
 * For good, for this process and all threads that it starts afterwards: no new
 * privileges, no capabilities, limits, Landlock where the kernel has it, and a seccomp
 * allow-list. What is not on the list fails with ENOSYS; what could only be an attack
 * (execve, ptrace, mount ...) kills.
 */
int sandbox_enter(const struct sandbox *s, struct error *err);
