/* SPDX-License-Identifier: Apache-2.0 */
/* call_queue: nodes live in their calls' arenas, so that parking costs no other memory. */
#include "guest/agent/call_queue.h"

#include <errno.h>

struct call_node {
	struct call_node *next, *prev;
	struct call_queue *queue;
	struct rpc_call *call;
	void *item;
};

static void unlink_node(struct call_node *n)
{
	struct call_queue *q = n->queue;

	if (n->prev)
		n->prev->next = n->next;
	else
		q->first = n->next;
	if (n->next)
		n->next->prev = n->prev;
	else
		q->last = n->prev;
}

static void on_cancel(void *data)
{
	struct call_node *n = data;
	struct call_queue *q = n->queue;

	unlink_node(n);
	if (q->dropped)
		q->dropped(q->data);
}

int call_queue_park_item(struct call_queue *q, struct rpc_call *call, void *item)
{
	struct call_node *n = arena_alloc(rpc_call_arena(call), sizeof(*n));

	if (!n) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		return -ENOMEM;
	}
	n->queue = q;
	n->call = call;
	n->item = item;
	n->prev = q->last;
	if (q->last)
		q->last->next = n;
	else
		q->first = n;
	q->last = n;
	rpc_call_on_cancel(call, on_cancel, n);
	return 0;
}

int call_queue_park(struct call_queue *q, struct rpc_call *call)
{
	return call_queue_park_item(q, call, NULL);
}

bool call_queue_empty(const struct call_queue *q)
{
	return !q->first;
}

struct rpc_call *call_queue_first(const struct call_queue *q, void **item)
{
	if (!q->first)
		return NULL;
	if (item)
		*item = q->first->item;
	return q->first->call;
}

struct rpc_call *call_queue_pop(struct call_queue *q)
{
	struct call_node *n = q->first;

	if (!n)
		return NULL;
	unlink_node(n);
	rpc_call_on_cancel(n->call, NULL, NULL);
	return n->call;
}

void call_queue_fail(struct call_queue *q, enum rpc_code code, const char *text)
{
	struct rpc_call *call;

	while ((call = call_queue_pop(q)))
		rpc_call_fail(call, code, "%s", text);
}
