# SPDX-License-Identifier: Apache-2.0
# First processes of guests that test devices from inside: build/guest/test/{vsock-guest,dax-guest}.
DEVICE_GUESTS := $(G)/test/vsock-guest $(G)/test/dax-guest
TEST_GUESTS += $(DEVICE_GUESTS)
$(DEVICE_GUESTS): $(G)/test/%: tests/guests/%.c $(GUEST_SYSROOT_STAMP)
	$(call say,GUESTCC,$<)
	$(Q)mkdir -p $(@D) && $(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS) -s -o $@ $<
