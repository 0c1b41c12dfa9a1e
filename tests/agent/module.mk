# SPDX-License-Identifier: Apache-2.0
# agent-client: one ttrpc call for shell tests.
$(eval $(call host_program,agent-client,tests/agent/agent-client.c,rpc base,-lprotobuf-c -lcjson,not-installed))
# agent-soak: many cycles and many waiting calls, for growth and for figures.
$(eval $(call host_program,agent-soak,tests/agent/agent-soak.c,rpc base,-lprotobuf-c -lcjson,not-installed))
