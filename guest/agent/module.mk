# SPDX-License-Identifier: Apache-2.0
# agent: the Kata agent service and its program; the engine, devices and network are libraries of
# their own below this folder.
AGENT_SRCS := $(filter-out guest/agent/main.c,$(sort $(wildcard guest/agent/*.c guest/agent/rpc/*.c \
	guest/agent/storage/*.c guest/agent/image/*.c)))
$(eval $(call guest_library,agent,$(AGENT_SRCS)))
AGENT_LIBS := agent container agent-device agent-net init oci rpc disk verity base
$(eval $(call guest_program,kihon-agent,guest/agent/main.c,$(AGENT_LIBS),-lseccomp -lprotobuf-c -lcjson))
# The same, on the host: what tests drive over a unix socket.
$(eval $(call host_program,kihon-agent,guest/agent/main.c,$(AGENT_LIBS),-lseccomp -lprotobuf-c -lcjson,not-installed))
$(eval $(call fuzz_target,fuzz-agent-request,tests/fuzz/fuzz-agent-request.c,$(AGENT_LIBS),-lseccomp -lprotobuf-c -lcjson))
$(eval $(call fuzz_target,fuzz-cgroup,tests/fuzz/fuzz-cgroup.c,$(AGENT_LIBS),-lseccomp -lprotobuf-c -lcjson))
$(eval $(call unit_test,test-agent-policy,tests/unit/test-agent-policy.c,$(AGENT_LIBS),-lseccomp -lprotobuf-c -lcjson))
$(eval $(call unit_test,test-agent-stream,tests/unit/test-agent-stream.c,$(AGENT_LIBS),-lseccomp -lprotobuf-c -lcjson))
$(eval $(call unit_test,test-mirror,tests/unit/test-mirror.c,$(AGENT_LIBS),-lseccomp -lprotobuf-c -lcjson))
$(eval $(call unit_test,test-agent-config,tests/unit/test-agent-config.c,$(AGENT_LIBS),-lseccomp -lprotobuf-c -lcjson))
$(eval $(call unit_test,test-pause,tests/unit/test-pause.c,$(AGENT_LIBS),-lseccomp -lprotobuf-c -lcjson))
$(eval $(call unit_test,test-container-spec,tests/unit/test-container-spec.c,$(AGENT_LIBS),-lseccomp -lprotobuf-c -lcjson))
$(eval $(call unit_test,test-storage-options,tests/unit/test-storage-options.c,$(AGENT_LIBS),-lseccomp -lprotobuf-c -lcjson))
$(eval $(call unit_test,test-layers,tests/unit/test-layers.c,$(AGENT_LIBS),-lseccomp -lprotobuf-c -lcjson))
$(eval $(call fuzz_target,fuzz-layer-options,tests/fuzz/fuzz-layer-options.c,$(AGENT_LIBS),-lseccomp -lprotobuf-c -lcjson))
