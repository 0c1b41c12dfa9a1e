/* SPDX-License-Identifier: Apache-2.0 */
/* console: handing a terminal to who asked for it, or being its other side. */
#pragma once

#include "guest/agent/container/container.h"
#include "lib/base/error.h"

/* Sends the descriptor over a unix stream socket (--console-socket), and closes it. */
int console_send(const char *socket_path, int master, struct error *err);

/* Stays with a process of the foreground until it ends: passes signals on, and with a
 * master descriptor (else -1) joins this terminal, in raw mode, with the container's.
 * Returns the process's exit code, or a negative errno. */
int console_attend(struct container_process *p, int master, struct error *err);
