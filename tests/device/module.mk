# SPDX-License-Identifier: Apache-2.0
# device-driver: waits for a hot-plugged device in a guest (tests/init.bats).
DEVICE_DRIVER_LIBS := $(foreach l,agent-device base,$(G)/lib/lib$(l).a)
TEST_GUESTS += $(G)/test/device-driver
$(G)/test/device-driver: $(call guest_obj,tests/device/device-driver.c) $(DEVICE_DRIVER_LIBS)
	$(call say,GUESTLD,$@)
	$(Q)mkdir -p $(@D) && $(GUEST_CC) $(GUEST_LDFLAGS) -s -o $@ $< -Wl,--start-group $(DEVICE_DRIVER_LIBS) -Wl,--end-group
