/* SPDX-License-Identifier: Apache-2.0 */
/* process_calls: exec, signal, wait and resize. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "guest/agent/rpc/container_spec.h"
#include "guest/agent/rpc/handlers.h"
#include "guest/agent/rpc/spec_from_proto.h"
#include "guest/agent/sandbox_container.h"
#include "lib/base/helper.h"
#include "lib/rpc/proto/agent.pb-c.h"

#define AWAIT_MS 10000u /* for looking what a process waits for; without an answer it is killed */

/* ---- exec */

struct exec_op {
	struct rpc_call *call; /* NULL: cancelled; the process is killed when it is ready */
	struct sandbox_process *process;
};

static void exec_cancelled(void *data)
{
	struct exec_op *op = data;

	op->call = NULL;
	if (op->process)
		container_process_signal(op->process->engine, SIGKILL, NULL);
}

static void exec_ready(int result, const struct error *err, void *data)
{
	struct exec_op *op = data;

	/* Nobody will ask for the end of one that failed, or whose caller is gone. */
	if ((result < 0 || !op->call) && !op->process->freeing)
		sandbox_process_abandon(op->process);
	if (op->call && result < 0)
		rpc_call_fail_error(op->call, err);
	else if (op->call)
		rpc_call_reply(op->call, NULL);
	free(op);
}

static int exec_prepare(struct sandbox_container *c, const Grpc__ExecProcessRequest *req,
                        struct exec_op *op, struct error *err)
{
	_cleanup_process_stdio_ struct process_stdio io = PROCESS_STDIO_INIT;
	_cleanup_oci_spec_ struct oci_spec *spec = NULL;
	struct container_exec_opts opts = {.stdio = {-1, -1, -1}};
	const uint32_t ports[3] = {req->stdin_port, req->stdout_port, req->stderr_port};
	struct container_process *engine = NULL;
	int r = spec_from_process(req->process, &spec, err);

	if (r == 0)
		r = container_spec_pci_names(spec, c->pci_names, c->n_pci_names, err);
	if (r == 0)
		r = process_stdio_open(&io, c->sandbox, req->process->terminal, ports, err);
	if (r < 0)
		return r;
	memcpy(opts.stdio, io.child, sizeof(opts.stdio));
	r = container_exec(c->engine, spec->process, &opts, &engine, err);
	if (r < 0)
		return r;
	r = sandbox_process_new(c, req->exec_id, false, req->process->terminal, engine, &io,
	                        exec_ready, op, &op->process, err);
	if (r < 0) {
		container_process_signal(engine, SIGKILL, NULL);
		container_process_free(engine);
	}
	return r;
}

static int exec_check(struct sandbox_container *c, const Grpc__ExecProcessRequest *req,
                      struct error *err)
{
	struct sandbox_process *there;
	int r;

	if (c->state != SANDBOX_CONTAINER_STARTED)
		return error_set(err, EBUSY, "container %s has not been started", c->id);
	r = sandbox_id_check(req->exec_id, 1, "exec id", err);
	if (r == 0 && sandbox_container_process(c, req->exec_id, &there, NULL) == 0) {
		if (!there->waited)
			return error_set(err, EEXIST, "process %s exists already", req->exec_id);
		sandbox_process_free(there); /* was only there to be read from */
	}
	return r;
}

void rpc_exec_process(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__ExecProcessRequest *req = (const void *)request;
	struct agent *agent = data;
	struct error err = ERROR_INIT;
	struct sandbox_container *c;
	struct exec_op *op = NULL;
	int r = sandbox_container_find(&agent->sandbox, req->container_id, &c, &err);

	if (r == 0)
		r = exec_check(c, req, &err);
	if (r == 0) {
		op = calloc(1, sizeof(*op));
		if (!op)
			r = error_set(&err, ENOMEM, "out of memory");
	}
	if (r == 0) {
		op->call = call;
		r = exec_prepare(c, req, op, &err);
	}
	if (r < 0) {
		free(op);
		rpc_call_fail_error(call, &err);
		return;
	}
	rpc_call_on_cancel(call, exec_cancelled, op);
}

/* ---- signal */

/* A SIGTERM that the container's init neither handles, ignores, blocks nor waits for would be lost:
 * the kernel drops default-action signals to the first process of a pid namespace. */
struct term_op {
	struct agent *agent;
	struct rpc_call *call; /* NULL: cancelled */
	char id[SANDBOX_ID_MAX];
	const struct container_process *engine; /* for the helper alone */
};

static void term_cancelled(void *data)
{
	((struct term_op *)data)->call = NULL;
}

static int is_awaited(void *data, void *out, struct error *err)
{
	return container_process_awaits(((const struct term_op *)data)->engine, SIGTERM);
}

/* The container may be gone by now: found again by id. */
static void awaited(int result, const void *out, const struct error *ignored, void *data)
{
	struct term_op *op = data;
	struct error err = ERROR_INIT;
	struct sandbox_process *init;
	int r = 0;

	if (sandbox_find_process(&op->agent->sandbox, op->id, "", &init, NULL) == 0 &&
	    !init->exited)
		r = container_process_signal(init->engine, result > 0 ? SIGTERM : SIGKILL, &err);
	if (op->call && r < 0)
		rpc_call_fail_error(op->call, &err);
	else if (op->call)
		rpc_call_reply(op->call, NULL);
	free(op);
}

/* Answers the call later. */
static int terminate(struct agent *agent, struct rpc_call *call, const struct sandbox_container *c,
                     const struct sandbox_process *init, struct error *err)
{
	struct term_op *op = calloc(1, sizeof(*op));
	int r = op ? 0 : error_set(err, ENOMEM, "out of memory");

	if (r == 0) {
		op->agent = agent;
		op->call = call;
		op->engine = init->engine;
		strcpy(op->id, c->id);
		r = helper_run(c->sandbox->loop, "looking what a process waits for", is_awaited, op,
		               AWAIT_MS, awaited, op, err);
	}
	if (r < 0)
		free(op);
	else
		rpc_call_on_cancel(call, term_cancelled, op);
	return r;
}

/* 1: the answer comes later. */
static int signal_one(struct agent *agent, struct rpc_call *call, struct sandbox_container *c,
                      const Grpc__SignalProcessRequest *req, struct error *err)
{
	struct sandbox_process *p;
	int r = sandbox_container_process(c, req->exec_id, &p, err), signo = (int)req->signal;

	if (r < 0 || p->exited)
		return r;
	if (signo == SIGTERM && p->is_init && !container_process_handles(p->engine, SIGTERM)) {
		if (terminate(agent, call, c, p, NULL) == 0)
			return 1;
		signo = SIGKILL; /* no room to look closer */
	}
	return container_process_signal(p->engine, signo, err);
}

void rpc_signal_process(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__SignalProcessRequest *req = (const void *)request;
	struct agent *agent = data;
	struct error err = ERROR_INIT;
	struct sandbox_container *c;
	int r = sandbox_container_find(&agent->sandbox, req->container_id, &c, &err);

	if (r == 0 && req->signal > 64)
		r = error_set(&err, EINVAL, "%u is no signal", req->signal);
	if (r == 0 && !*req->exec_id && req->signal == SIGKILL)
		r = container_signal_all(c->engine, SIGKILL, &err);
	else if (r == 0)
		r = signal_one(agent, call, c, req, &err);
	if (r < 0)
		rpc_call_fail_error(call, &err);
	else if (r == 0)
		rpc_call_reply(call, NULL);
}

/* ---- wait, resize */

void rpc_wait_process(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__WaitProcessRequest *req = (const void *)request;
	struct agent *agent = data;
	struct error err = ERROR_INIT;
	struct sandbox_process *p;

	if (sandbox_find_process(&agent->sandbox, req->container_id, req->exec_id, &p, &err) < 0)
		rpc_call_fail_error(call, &err);
	else
		sandbox_process_wait(p, call);
}

void rpc_tty_win_resize(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__TtyWinResizeRequest *req = (const void *)request;
	struct agent *agent = data;
	struct error err = ERROR_INIT;
	struct sandbox_process *p;
	int r = sandbox_find_process(&agent->sandbox, req->container_id, req->exec_id, &p, &err);

	if (r == 0)
		r = sandbox_process_resize(p, req->row, req->column, &err);
	if (r < 0)
		rpc_call_fail_error(call, &err);
	else
		rpc_call_reply(call, NULL);
}
