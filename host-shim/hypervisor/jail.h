/* SPDX-License-Identifier: Apache-2.0 */
/* jail: what a process gives up before it reads bytes of the guest. */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"

/* Drops all capabilities, sets no_new_privs. */
int jail_drop_privileges(struct error *err);

/* From here on only the named system calls work; another one kills the process. `socket`
 * is limited to AF_UNIX when it is in the list. */
int jail_allow(const char *const *syscalls, size_t n, struct error *err);
