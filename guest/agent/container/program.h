/* SPDX-License-Identifier: Apache-2.0 */
/* program: what a process of a container executes, with which environment. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

struct program {
	const char *path; /* absolute, or relative to the working directory */
	char **argv;
	char **envp;
};

/* Finds args[0], in PATH of the process's own environment when it has no slash, as the
 * calling process (its ids, root and working directory) sees it, and completes the
 * environment with HOME. -ENOENT and -EACCES as execve would say. */
int program_prepare(struct arena *a, const struct oci_process *p, const char *home,
                    struct program *out, struct error *err);
