# SPDX-License-Identifier: Apache-2.0
# net-driver: the guest's network code as a program, for tests/net.bats.
$(eval $(call host_program,net-driver,tests/net/net-driver.c,agent-net init base,-lcjson,not-installed))
