/* SPDX-License-Identifier: Apache-2.0 */
/* log_port: the agent's log, JSON lines, to whoever of the host connects; to the console while
 * nobody does. A reader that does not read loses records; the agent never waits for it. */
#pragma once

#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/loop.h"

struct log_port;

int log_port_open(struct loop *loop, const char *server_addr, uint32_t port, struct log_port **out,
                  struct error *err);
void log_port_close(struct log_port *p); /* NULL is fine */
