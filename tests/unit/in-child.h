/* SPDX-License-Identifier: Apache-2.0 */
/* in-child: runs a piece of a test in a process of its own. */
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/check.h"

/* What happens inside: 0 is right. */
typedef int (*inside_fn)(void *data);

/* The wait status of a child that ran fn. */
static inline int run_child(inside_fn fn, void *data)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(data));
	check(pid > 0 && waitpid(pid, &status, 0) == pid);
	return status;
}
