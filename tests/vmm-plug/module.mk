# SPDX-License-Identifier: Apache-2.0
# Devices that come and go while a Linux of this project's runs, in the nested host (tests/nested/steps/plug).
$(eval $(call host_program,vm-plug,tests/vmm-plug/vm-plug.c,vmm base,-lcjson,not-installed))
NESTED_STATIC += build/static/bin/vm-plug

# With what the agent looks at slots with.
$(G)/test/plug-init: tests/vmm-plug/plug-init.c $(G)/lib/libagent-device.a $(G)/lib/libbase.a $(GUEST_SYSROOT_STAMP)
	$(call say,GUESTCC,$<)
	$(Q)mkdir -p $(@D) && $(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS) -s -o $@ $< $(G)/lib/libagent-device.a $(G)/lib/libbase.a
build/nested/plug.cpio: $(G)/test/plug-init
	$(call say,MAKE,$@)
	$(Q)rm -rf $@.d && mkdir -p $@.d && cp $< $@.d/init && (cd $@.d && echo init | cpio -o -H newc --quiet) >$@.tmp && rm -r $@.d && mv $@.tmp $@
nested: build/nested/plug.cpio

# What a runtime asks of the agent once it has plugged a disk in.
build/nested/sandbox.request: tests/vmm-plug/sandbox.txtpb lib/rpc/proto/agent.proto
	$(call say,PROTOC,$@)
	$(Q)mkdir -p $(@D) && protoc --encode=grpc.CreateSandboxRequest lib/rpc/proto/agent.proto <$< >$@
nested: build/nested/sandbox.request
