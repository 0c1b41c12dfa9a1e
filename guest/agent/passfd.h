/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passfd: connections that the host opens ahead for the streams of a process, each known by the
 * port that it came from (CreateContainer's and ExecProcess's stdin_port, stdout_port,
 * stderr_port).
 */
#pragma once

#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/loop.h"

#define PASSFD_MAX_WAITING 256u /* connections that nobody took yet; the oldest goes first */

struct passfd;

int passfd_open(struct loop *loop, const char *server_addr, uint32_t port, struct passfd **out,
                struct error *err);
/* The connection from that port, which is the caller's now. -ENOENT. passfd may be NULL. */
int passfd_take(struct passfd *p, uint32_t peer_port, struct error *err);
void passfd_close(struct passfd *p); /* NULL is fine */
