# SPDX-License-Identifier: Apache-2.0
# container: the OCI container engine, driven by the agent and by kihon-oci. Uses lib/base, lib/oci, libseccomp.
$(eval $(call guest_library,container,$(sort $(wildcard guest/agent/container/*.c))))
CONTAINER_TESTS := test-container test-container-mounts test-container-process test-container-cgroup \
	test-device-filter test-cgroup-resources
$(foreach t,$(CONTAINER_TESTS),$(eval $(call unit_test,$(t),tests/unit/$(t).c tests/unit/container_box.c,container oci base,-lcjson -lseccomp)))
