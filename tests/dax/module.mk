# SPDX-License-Identifier: Apache-2.0
# dax-probe: the first process of the guests of tests/dax.bats.
TEST_GUESTS += $(G)/test/dax-probe
$(G)/test/dax-probe: tests/dax/dax-probe.c $(GUEST_SYSROOT_STAMP)
	$(call say,GUESTCC,$<)
	$(Q)mkdir -p $(@D) && $(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS) -s -o $@ $<
