/* SPDX-License-Identifier: Apache-2.0 */
/* policy_calls: SetPolicy, the policy at the start, and the gate before every call. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "guest/agent/image/image_root.h"
#include "guest/agent/rpc/handlers.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/image/initdata.h"
#include "lib/rpc/proto/agent.pb-c.h"

int agent_gate(const char *service, const char *method, const ProtobufCMessage *request, void *data,
               char *why, size_t why_size)
{
	const struct agent *agent = data;
	struct error err = ERROR_INIT;

	if (policy_check(agent->policy, service, request, &err) == 0)
		return RPC_OK;
	log_warn("%s", err.text);
	snprintf(why, why_size, "%s", err.text);
	return RPC_PERMISSION_DENIED;
}

/* Never ignored: what cannot be read allows nothing. */
static int take_policy(struct agent *agent, const char *text, size_t size, struct error *err)
{
	struct policy *p = NULL;
	int r = policy_parse(text, size, &p, err);

	if (r < 0) {
		log_critical("%s; everything is denied", err->text);
		p = policy_deny_all(err->text);
	}
	if (!p) {
		/* Out of memory for saying no: the one in force stays, or the guest ends. */
		if (!agent->policy)
			loop_exit(agent->loop, 1);
		return r;
	}
	policy_free(agent->policy);
	agent->policy = p;
	return r;
}

/* 1: there is no such file. */
static int take_file(struct agent *agent, const char *path)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct error err = ERROR_INIT;
	int r = fs_read_file(AT_FDCWD, path, POLICY_MAX_SIZE, &text, &err);

	if (r == -ENOENT)
		return 1;
	if (r < 0) /* nor may one that cannot be read be passed over */
		return take_policy(agent, "", 0, &err);
	log_info("policy of %s", path);
	return take_policy(agent, buffer_cstr(&text), text.size, &err);
}

void agent_load_policy(struct agent *agent)
{
	/* What init-data says goes before the image's; a Rego policy there is one, too. */
	if (take_file(agent, IMAGE_CONFIG_DIR "/" INITDATA_AGENT_POLICY) == 1 &&
	    take_file(agent, IMAGE_CONFIG_DIR "/policy.rego") == 1)
		take_file(agent, agent->config.policy_file);
}

void rpc_set_policy(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__SetPolicyRequest *req = (const void *)request;
	struct error err = ERROR_INIT;
	int r = take_policy(data, req->policy, strlen(req->policy), &err);

	if (r < 0 && r != -ENOMEM) /* too large, too deep, no policy: all one to who sent it */
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "%s", err.text);
	else if (r < 0)
		rpc_call_fail_error(call, &err);
	else
		rpc_call_reply(call, NULL);
}
