/* SPDX-License-Identifier: Apache-2.0 */
/* health: grpc.Health, by which a runtime sees that the agent is there. */
#include "guest/agent/rpc/handlers.h"
#include "lib/base/version.h"
#include "lib/rpc/proto/health.pb-c.h"

void rpc_check(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	Grpc__HealthCheckResponse m = GRPC__HEALTH_CHECK_RESPONSE__INIT;

	m.status = GRPC__SERVING_STATUS__SERVING;
	rpc_call_reply(call, &m.base);
}

void rpc_version(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	Grpc__VersionCheckResponse m = GRPC__VERSION_CHECK_RESPONSE__INIT;

	m.grpc_version = (char *)AGENT_API_VERSION;
	m.agent_version = (char *)KIHON_VERSION;
	rpc_call_reply(call, &m.base);
}
