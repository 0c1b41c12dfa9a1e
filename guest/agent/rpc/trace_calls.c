/* SPDX-License-Identifier: Apache-2.0 */
/* trace_calls: kihon.Trace, what happens in a container (docs/trace.md). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest/agent/rpc/handlers.h"
#include "guest/agent/sandbox_container.h"
#include "lib/base/bytes.h"
#include "lib/rpc/proto/trace.pb-c.h"

#define KINDS_MAX 256u /* bytes of the list */

/* -1 when its first process is gone, or was never there. */
static int open_pidns(struct container *engine)
{
	const struct container_process *init = container_init(engine);
	char path[64];

	if (container_process_has_exited(init) || container_process_pid(init) <= 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)container_process_pid(init));
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* "exec,exit"; a comma within a kind is nothing that the program would not look at. */
static int join_kinds(const Kihon__StartTraceRequest *req, struct buffer *out, struct error *err)
{
	out->limit = KINDS_MAX;
	for (size_t i = 0; i < req->n_kinds; i++) {
		buffer_str(out, i ? "," : "");
		buffer_str(out, req->kinds[i]);
	}
	return out->failed ? error_set(err, EINVAL, "kinds: more than %u bytes", KINDS_MAX) : 0;
}

static int start_trace(struct agent *agent, struct rpc_call *call,
                       const Kihon__StartTraceRequest *req, struct error *err)
{
	_cleanup_buffer_ struct buffer kinds = BUFFER_INIT;
	_cleanup_close_ int pidns = -1;
	struct trace_target target = {.container_id = req->container_id};
	struct sandbox_container *c;
	int r = sandbox_container_find(&agent->sandbox, req->container_id, &c, err);

	if (r < 0)
		return r;
	if (!c->engine || container_cgroup_fd(c->engine) < 0)
		return error_set(err, EBUSY, "container %s is still being created", c->id);
	r = join_kinds(req, &kinds, err);
	if (r < 0)
		return r;
	pidns = open_pidns(c->engine);
	target.kinds = req->n_kinds ? buffer_cstr(&kinds) : NULL;
	target.cgroup_fd = container_cgroup_fd(c->engine);
	target.pidns_fd = pidns;
	return trace_start(&agent->traces, call, &target, err);
}

void rpc_start_trace(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	struct error err = ERROR_INIT;

	if (start_trace(data, call, (const void *)request, &err) < 0)
		rpc_call_fail_error(call, &err);
}

void rpc_read_trace(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Kihon__ReadTraceRequest *req = (const void *)request;
	struct agent *agent = data;
	struct error err = ERROR_INIT;

	if (trace_read(&agent->traces, call, req->trace_id, req->max_bytes, req->timeout_ms, &err) <
	    0)
		rpc_call_fail_error(call, &err);
}

void rpc_stop_trace(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Kihon__StopTraceRequest *req = (const void *)request;
	struct agent *agent = data;
	struct error err = ERROR_INIT;

	if (trace_stop(&agent->traces, req->trace_id, &err) < 0)
		rpc_call_fail_error(call, &err);
	else
		rpc_call_reply(call, NULL);
}
