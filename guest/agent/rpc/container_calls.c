/* SPDX-License-Identifier: Apache-2.0 */
/* container_calls: start, remove, update, pause and resume. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/agent/rpc/handlers.h"
#include "guest/agent/rpc/spec_from_proto.h"
#include "guest/agent/sandbox_container.h"
#include "lib/base/helper.h"
#include "lib/base/log.h"
#include "lib/rpc/proto/agent.pb-c.h"

#define UPDATE_MS 30000u

static void answer(struct rpc_call *call, int result, const struct error *err)
{
	if (result < 0)
		rpc_call_fail_error(call, err);
	else
		rpc_call_reply(call, NULL);
}

/* ---- start */

/* The container may be removed while it starts: found again by id. */
struct start_op {
	struct agent *agent;
	struct rpc_call *call; /* NULL: cancelled, the start goes on */
	char id[SANDBOX_ID_MAX];
};

static void op_cancelled(void *data)
{
	((struct start_op *)data)->call = NULL;
}

static void poststart_ended(struct loop_source *src, pid_t pid, int status, void *data)
{
	loop_source_free(src);
}

/* runtime.md: a poststart hook that fails is a warning. */
static void run_poststart(struct sandbox_container *c)
{
	struct loop_source *src;
	struct error err = ERROR_INIT;
	pid_t runner = 0;
	int r = container_run_hooks(c->engine, OCI_HOOK_POSTSTART, &runner, &err);

	if (r == 0 && runner > 0)
		r = loop_add_child(c->sandbox->loop, runner, poststart_ended, NULL, &src, &err);
	if (r < 0)
		log_warn("container %s: poststart hooks: %s", c->id, err.text);
}

static void started(int result, const struct error *err, void *data)
{
	struct start_op *op = data;
	struct sandbox_container *c;

	if (result == 0 && sandbox_container_find(&op->agent->sandbox, op->id, &c, NULL) == 0) {
		c->state = SANDBOX_CONTAINER_STARTED;
		run_poststart(c);
	}
	if (op->call)
		answer(op->call, result, err);
	free(op);
}

static int start_prepare(struct sandbox_container *c, struct start_op *op, struct error *err)
{
	struct sandbox_process *init;
	int r;

	if (c->state != SANDBOX_CONTAINER_CREATED)
		return error_set(err, EBUSY, "container %s was started already", c->id);
	r = sandbox_container_process(c, "", &init, err);
	if (r == 0 && sandbox_container_watch_oom(c, err) < 0)
		log_warn("container %s: no OOM events: %s", c->id, err->text);
	if (r == 0)
		r = sandbox_process_await(init, started, op, err);
	if (r < 0)
		return r;
	/* Last: what fails has not been started. */
	r = container_start(c->engine, err);
	if (r < 0)
		sandbox_process_await_not(init);
	return r;
}

void rpc_start_container(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__StartContainerRequest *req = (const void *)request;
	struct agent *agent = data;
	struct error err = ERROR_INIT;
	struct sandbox_container *c;
	struct start_op *op = NULL;
	int r = sandbox_container_find(&agent->sandbox, req->container_id, &c, &err);

	if (r == 0) {
		op = calloc(1, sizeof(*op));
		if (!op)
			r = error_set(&err, ENOMEM, "out of memory");
	}
	if (r == 0) {
		op->agent = agent;
		op->call = call;
		strcpy(op->id, c->id);
		r = start_prepare(c, op, &err);
	}
	if (r < 0) {
		free(op);
		rpc_call_fail_error(call, &err);
		return;
	}
	rpc_call_on_cancel(call, op_cancelled, op);
}

/* ---- remove */

struct remove_op {
	struct rpc_call *call;
};

static void remove_cancelled(void *data)
{
	((struct remove_op *)data)->call = NULL;
}

static void removed(int result, const struct error *err, void *data)
{
	struct remove_op *op = data;

	if (op->call)
		answer(op->call, result, err);
	free(op);
}

void rpc_remove_container(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__RemoveContainerRequest *req = (const void *)request;
	struct agent *agent = data;
	struct error err = ERROR_INIT;
	struct remove_op *op = NULL;
	struct sandbox_container *c;
	int r = sandbox_container_find(&agent->sandbox, req->container_id, &c, &err);

	if (r == 0) {
		op = calloc(1, sizeof(*op));
		if (!op)
			r = error_set(&err, ENOMEM, "out of memory");
	}
	if (r == 0) {
		op->call = call;
		r = sandbox_container_remove(c, (uint64_t)req->timeout * 1000, removed, op, &err);
	}
	if (r < 0) {
		free(op);
		rpc_call_fail_error(call, &err);
		return;
	}
	rpc_call_on_cancel(call, remove_cancelled, op);
}

/* ---- update: a limit below what is in use makes the kernel reclaim first, which takes time */

struct update_op {
	struct rpc_call *call; /* NULL: cancelled */
	struct arena arena;    /* the request is in it */
	struct container *engine;
	struct oci_spec *spec;
};

static void update_cancelled(void *data)
{
	((struct update_op *)data)->call = NULL;
}

static int update_in_helper(void *data, void *out, struct error *err)
{
	const struct update_op *op = data;

	return container_update(op->engine, op->spec->linux_.resources, err);
}

static void update_free(struct update_op *op)
{
	if (!op)
		return;
	oci_spec_free(op->spec);
	arena_free(&op->arena);
	free(op);
}

static void updated(int result, const void *out, const struct error *err, void *data)
{
	struct update_op *op = data;

	if (op->call)
		answer(op->call, result, err);
	update_free(op);
}

void rpc_update_container(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__UpdateContainerRequest *req = (const void *)request;
	struct agent *agent = data;
	struct error err = ERROR_INIT;
	struct sandbox_container *c;
	struct update_op *op = calloc(1, sizeof(*op));
	int r = op ? sandbox_container_find(&agent->sandbox, req->container_id, &c, &err)
	           : error_set(&err, ENOMEM, "out of memory");

	if (r == 0 && !req->resources) { /* nothing is to be changed, as for Kata's agent */
		update_free(op);
		rpc_call_reply(call, NULL);
		return;
	}
	if (r == 0)
		r = spec_from_resources(req->resources, &op->spec, &err);
	if (r == 0)
		op->engine = c->engine;
	if (r == 0)
		r = helper_run(agent->loop, "updating a container", update_in_helper, op, UPDATE_MS,
		               updated, op, &err);
	if (r < 0) {
		update_free(op);
		rpc_call_fail_error(call, &err);
		return;
	}
	op->call = call;
	op->arena = rpc_call_take_arena(call);
	rpc_call_on_cancel(call, update_cancelled, op);
}

/* ---- pause, resume */

static void freeze(struct rpc_call *call, struct agent *agent, const char *id,
                   int (*fn)(struct container *c, struct error *err))
{
	struct error err = ERROR_INIT;
	struct sandbox_container *c;
	int r = sandbox_container_find(&agent->sandbox, id, &c, &err);

	if (r == 0)
		r = fn(c->engine, &err);
	answer(call, r, &err);
}

void rpc_pause_container(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	freeze(call, data, ((const Grpc__PauseContainerRequest *)request)->container_id,
	       container_pause);
}

void rpc_resume_container(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	freeze(call, data, ((const Grpc__ResumeContainerRequest *)request)->container_id,
	       container_resume);
}
