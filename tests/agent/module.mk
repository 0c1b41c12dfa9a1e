# SPDX-License-Identifier: Apache-2.0
# agent-client: one ttrpc call for shell tests.
$(eval $(call host_program,agent-client,tests/agent/agent-client.c,rpc base,-lprotobuf-c -lcjson,not-installed))
