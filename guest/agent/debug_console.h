/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug_console: a shell of the guest for whoever connects to its port, raw bytes both ways.
 *
 * Only where the kernel words ask for it and the image has a shell (the debug profile has one).
 */
#pragma once

#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/loop.h"

struct debug_console;

/* port 0: one shell on /dev/console instead, started again when it ends. */
int debug_console_open(struct loop *loop, const char *server_addr, uint32_t port,
                       struct debug_console **out, struct error *err);
/* Ends the shells. NULL is fine. */
void debug_console_close(struct debug_console *c);
