/* SPDX-License-Identifier: Apache-2.0 */
/* answer_by_helper: the request outlives a call that is cancelled meanwhile. */
#include "guest/agent/rpc/answer_by_helper.h"

#include <stdlib.h>

struct helper_op {
	struct rpc_call *call; /* NULL: cancelled */
	struct arena arena;    /* the request is in it */
	const ProtobufCMessage *request;
	answer_work_fn work;
	answer_finish_fn finish;
};

static int run_work(void *data, void *out, struct error *err)
{
	struct helper_op *op = data;

	return op->work(op->request, out, err);
}

static void cancelled(void *data)
{
	((struct helper_op *)data)->call = NULL;
}

static void done(int result, const void *out, const struct error *err, void *data)
{
	struct helper_op *op = data;

	if (op->call && result < 0)
		rpc_call_fail_error(op->call, err);
	else if (op->call && op->finish)
		op->finish(op->call, out);
	else if (op->call)
		rpc_call_reply(op->call, NULL);
	arena_free(&op->arena);
	free(op);
}

void answer_by_helper(struct agent *agent, struct rpc_call *call, const ProtobufCMessage *request,
                      answer_work_fn work, answer_finish_fn finish, uint64_t deadline_ms)
{
	struct helper_op *op = calloc(1, sizeof(*op));
	struct error err = ERROR_INIT;

	if (!op) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	op->request = request;
	op->work = work;
	op->finish = finish;
	if (helper_run(agent->loop, rpc_call_method(call), run_work, op, deadline_ms, done, op,
	               &err) < 0) {
		free(op);
		rpc_call_fail_error(call, &err);
		return;
	}
	op->call = call;
	op->arena = rpc_call_take_arena(call);
	rpc_call_on_cancel(call, cancelled, op);
}
