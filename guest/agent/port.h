/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port: the agent's further vsock ports (log, debug console, streams), which it listens on and
 * the host connects to.
 */
#pragma once

#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/loop.h"

struct agent_port;

/* fd is the callee's. peer_port: the port that the host connected from. */
typedef void (*agent_port_fn)(int fd, uint32_t peer_port, void *data);

/* server_addr is the agent's own address: where that is a unix socket, PATH.PORT is listened at,
 * and a client's port is the number at the end of the name that it is bound to. */
int agent_port_open(struct loop *loop, const char *server_addr, uint32_t port, agent_port_fn fn,
                    void *data, struct agent_port **out, struct error *err);
/* Accepts what is waiting, now. */
void agent_port_accept(struct agent_port *port);
void agent_port_close(struct agent_port *port); /* NULL is fine */
