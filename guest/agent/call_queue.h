/* SPDX-License-Identifier: Apache-2.0 */
/* call_queue: parked calls in the order they came; one that is cancelled leaves by itself. */
#pragma once

#include <stdbool.h>

#include "lib/rpc/server.h"

struct call_node;

struct call_queue {
	struct call_node *first, *last;
	/* Told after a call left by being cancelled; may be NULL. */
	void (*dropped)(void *data);
	void *data;
};

/* Parks the call. On a full memory it is answered so, and -ENOMEM. */
int call_queue_park(struct call_queue *q, struct rpc_call *call);
/* As call_queue_park(), with something to find it by; it must live as long as the call. */
int call_queue_park_item(struct call_queue *q, struct rpc_call *call, void *item);
bool call_queue_empty(const struct call_queue *q);
/* The oldest call and its item (NULL is fine), still in the queue; NULL when empty. */
struct rpc_call *call_queue_first(const struct call_queue *q, void **item);
/* Takes the oldest out, to be answered; NULL when empty. */
struct rpc_call *call_queue_pop(struct call_queue *q);
/* Answers all with a failure. */
void call_queue_fail(struct call_queue *q, enum rpc_code code, const char *text);
