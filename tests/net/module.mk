# SPDX-License-Identifier: Apache-2.0
# net-driver: the guest's network code as a program, for tests/net.bats.
$(eval $(call host_program,net-driver,tests/net/net-driver.c,agent-net init base,-lcjson,not-installed))

# The same in a guest (tests/init.bats): the network as QEMU gives it.
NET_DRIVER_LIBS := $(foreach l,agent-net init base,$(G)/lib/lib$(l).a)
TEST_GUESTS += $(G)/test/net-driver
$(G)/test/net-driver: $(call guest_obj,tests/net/net-driver.c) $(NET_DRIVER_LIBS)
	$(call say,GUESTLD,$@)
	$(Q)mkdir -p $(@D) && $(GUEST_CC) $(GUEST_LDFLAGS) -s -o $@ $< -Wl,--start-group $(NET_DRIVER_LIBS) -Wl,--end-group
