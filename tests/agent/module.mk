# SPDX-License-Identifier: Apache-2.0
# agent-client: one ttrpc call for shell tests.
$(eval $(call host_program,agent-client,tests/agent/agent-client.c tests/agent/wire.c,rpc base,-lprotobuf-c -lcjson,not-installed))
# agent-soak: many cycles and many waiting calls, for growth and for figures.
$(eval $(call host_program,agent-soak,tests/agent/agent-soak.c,rpc base,-lprotobuf-c -lcjson,not-installed))
# stdout-rate: what bench row agent-stdout takes.
$(eval $(call host_program,stdout-rate,tests/bench/agent/stdout-rate.c,rpc base,-lprotobuf-c -lcjson,not-installed))
# agent-inject drives kihon-agent-inject, an agent whose allocations, descriptors, forks and files fail
# when it says so. glibc's own heap is what they stand before, so neither is built with another.
ifeq ($(STATIC)$(ASAN),)
$(eval $(call host_program,agent-inject,tests/agent/agent-inject.c tests/agent/wire.c,rpc base,-lprotobuf-c -lcjson,not-installed))
$(eval $(call host_program,kihon-agent-inject,guest/agent/main.c tests/agent/inject.c,$(AGENT_LIBS),-lseccomp -lprotobuf-c -lcjson,not-installed))
CFLAGS_tests/agent/inject.c := -U_FORTIFY_SOURCE -U_FILE_OFFSET_BITS -fno-builtin
endif
# guest-look: looks around in the guests of tests/agent-guest*.bats.
TEST_GUESTS += $(G)/test/guest-look
$(G)/test/guest-look: tests/agent/guest-look.c $(GUEST_SYSROOT_STAMP)
	$(call say,GUESTCC,$<)
	$(Q)mkdir -p $(@D) && $(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS) -s -o $@ $<
