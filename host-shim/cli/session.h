/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: one process in the guest and this terminal: its output, its input, its
 * signals, its end.
 */
#pragma once

#include <stdbool.h>

#include "lib/base/loop.h"
#include "lib/rpc/client.h"

struct session;

struct session_options {
	const char *id;   /* of the container, and of its init process */
	bool interactive; /* -i: our standard input is the process's; else it gets none */
	bool terminal;    /* -t: one stream both ways */
};

/* All output was written and the status is known (0..255), or a negative errno value and
 * why. Once. */
typedef void (*session_end_fn)(void *data, int status, const char *why);

int session_start(struct session **out, struct loop *loop, struct rpc_client *client,
                  const struct session_options *o, session_end_fn end, void *data,
                  struct error *err);
/* Sends the process a signal; failures are the process's being gone. */
void session_signal(struct session *s, int signo);
/* Tells the terminal's size. */
void session_resize(struct session *s, unsigned short rows, unsigned short columns);
/* Whether the guest's kernel has killed a process of the container for want of memory. */
bool session_out_of_memory(const struct session *s);
/* Nothing more happens, `end` included; to be called before the client is freed. NULL is
 * fine. */
void session_stop(struct session *s);
/* Not from within `end`, nor while calls of it are pending in a client that lives. */
void session_free(struct session *s); /* NULL is fine */
