# SPDX-License-Identifier: Apache-2.0
# container: the OCI container engine, driven by the agent and by kihon-oci. Uses lib/base, lib/oci, libseccomp.
$(eval $(call guest_library,container,$(sort $(wildcard guest/agent/container/*.c))))
$(eval $(call unit_test,test-container,tests/unit/test-container.c,container oci base,-lcjson -lseccomp))
