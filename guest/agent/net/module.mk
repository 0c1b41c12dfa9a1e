# SPDX-License-Identifier: Apache-2.0
# agent-net: rtnetlink, the kernel words ip=, a DHCP client, and the network calls of the agent.
$(eval $(call guest_library,agent-net,$(sort $(wildcard guest/agent/net/*.c))))
$(eval $(call unit_test,test-netlink,tests/unit/test-netlink.c,agent-net init base,-lcjson))
$(eval $(call unit_test,test-dhcp,tests/unit/test-dhcp.c,agent-net init base,-lcjson))
$(eval $(call fuzz_target,fuzz-netlink,tests/fuzz/fuzz-netlink.c,agent-net init base,-lcjson))
$(eval $(call fuzz_target,fuzz-dhcp,tests/fuzz/fuzz-dhcp.c,agent-net init base,-lcjson))
