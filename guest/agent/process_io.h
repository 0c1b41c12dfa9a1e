/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_io: a process whose streams are the host's connections (passfd.h). Between a pipe or
 * pty of the process, which programs expect, and a socket stands a relay.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "guest/agent/passfd.h"
#include "lib/base/loop.h"

#define PROCESS_IO_DRAIN_MS 500u  /* for output that a descendant still holds open */
#define PROCESS_IO_WAIT_MS  5000u /* for a host that does not read */

struct process_io;

/* Takes the connections for the ports that are not 0. *out is NULL when all are. Called before the
 * process is made. */
int process_io_new(struct loop *loop, struct passfd *passfd, const uint32_t ports[3],
                   struct process_io **out, struct error *err);
/* Takes over the agent's ends of the pipes (ends[i] becomes -1). */
int process_io_pipes(struct process_io *io, int ends[3], struct error *err);
/* Takes over the pty master. */
int process_io_console(struct process_io *io, int master, struct error *err);

/* The process is gone: `drained` runs once, when its output has gone out, or has been given up. */
void process_io_ended(struct process_io *io, void (*drained)(void *data), void *data);
/* For the window size; -1 without a terminal. */
int process_io_console_fd(const struct process_io *io);
void process_io_free(struct process_io *io); /* NULL is fine */
