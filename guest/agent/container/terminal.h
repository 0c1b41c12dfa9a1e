/* SPDX-License-Identifier: Apache-2.0 */
/* terminal: a pseudo terminal of the container's own devpts (config.md, "terminal"). */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "lib/base/error.h"

/* Opens a new pair through the /dev/ptmx or /dev/pts/ptmx below root_fd, which must belong
 * to a devpts. The slave is opened from the master, not by a path. */
int terminal_open(int root_fd, int *master, int *slave, struct error *err);
/* 0 keeps the kernel's size. */
int terminal_set_size(int fd, uint32_t rows, uint32_t columns);
/* Makes the slave 0, 1, 2 and the controlling terminal of this session, owned by uid. */
int terminal_take(int slave, uid_t uid, struct error *err);
/* Binds the slave on /dev/console below root_fd. */
int terminal_bind_console(int root_fd, int slave, struct error *err);
