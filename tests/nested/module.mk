# SPDX-License-Identifier: Apache-2.0
# The machine in which the built-in VMM is tested: a Linux with KVM, itself emulated (tests/nested/run).
NESTED_GUESTS := $(G)/test/kvm-hello
TEST_GUESTS += nested
# Static ones: host programs and unit tests that are run there.
NESTED_STATIC := build/static/bin/kihon build/static/test/test-jail

$(NESTED_GUESTS): $(G)/test/%: tests/nested/%.c $(GUEST_SYSROOT_STAMP)
	$(call say,GUESTCC,$<)
	$(Q)mkdir -p $(@D) && $(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS) -s -o $@ $<

.PHONY: nested check-nested
nested: $(NESTED_GUESTS) build/kernel/kvm-host/vmlinux $(H)/bin/kata-image-tool $(GUEST_SYSROOT_STAMP) # what tests/nested/run takes
	$(Q)$(MAKE) STATIC=1 $(NESTED_STATIC)
check-nested: nested image ## the built-in VMM under KVM, in an emulated host
	@tests/nested/run --all

$(eval $(call unit_test,test-jail,tests/unit/test-jail.c,vmm base,-lcjson))
$(eval $(call unit_test,test-vmm-snapshot,tests/unit/test-vmm-snapshot.c,vmm base,-lcjson))
$(eval $(call fuzz_target,fuzz-vmm-snapshot,tests/fuzz/fuzz-vmm-snapshot.c,vmm base,-lcjson))
