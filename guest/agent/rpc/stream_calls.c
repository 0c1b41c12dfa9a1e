/* SPDX-License-Identifier: Apache-2.0 */
/* stream_calls: output and input of processes. */
#include "guest/agent/rpc/handlers.h"
#include "guest/agent/sandbox_container.h"
#include "lib/rpc/proto/agent.pb-c.h"

static void read_stream(struct rpc_call *call, const ProtobufCMessage *request, struct agent *agent,
                        bool error_output)
{
	const Grpc__ReadStreamRequest *req = (const void *)request;
	struct error err = ERROR_INIT;
	struct sandbox_process *p;
	struct stream *stream;

	if (sandbox_find_process(&agent->sandbox, req->container_id, req->exec_id, &p, &err) < 0) {
		rpc_call_fail_error(call, &err);
		return;
	}
	stream = sandbox_process_output(p, error_output);
	if (!stream)
		rpc_call_fail(call, RPC_FAILED_PRECONDITION, "the process has no such output yet");
	else
		stream_read(stream, call, req->len);
}

void rpc_read_stdout(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	read_stream(call, request, data, false);
}

void rpc_read_stderr(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	read_stream(call, request, data, true);
}

/* The input of a terminal stays open: closing it would take the output along. */
static void close_input(struct rpc_call *call, struct sandbox_process *p)
{
	if (p->terminal || !sandbox_process_input(p))
		rpc_call_reply(call, NULL);
	else
		stream_close_input(sandbox_process_input(p), call);
}

/* Empty data closes the input (runtime-rs never calls CloseStdin). */
void rpc_write_stdin(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__WriteStreamRequest *req = (const void *)request;
	struct agent *agent = data;
	struct error err = ERROR_INIT;
	struct sandbox_process *p;

	if (sandbox_find_process(&agent->sandbox, req->container_id, req->exec_id, &p, &err) < 0)
		rpc_call_fail_error(call, &err);
	else if (req->data.len == 0)
		close_input(call, p);
	else if (!sandbox_process_input(p))
		rpc_call_fail(call, RPC_FAILED_PRECONDITION, "the process has no input yet");
	else
		stream_write(sandbox_process_input(p), call, req->data.data, req->data.len);
}

void rpc_close_stdin(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__CloseStdinRequest *req = (const void *)request;
	struct agent *agent = data;
	struct error err = ERROR_INIT;
	struct sandbox_process *p;

	if (sandbox_find_process(&agent->sandbox, req->container_id, req->exec_id, &p, &err) < 0)
		rpc_call_fail_error(call, &err);
	else
		close_input(call, p);
}
