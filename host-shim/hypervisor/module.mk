# SPDX-License-Identifier: Apache-2.0
# hypervisor: one interface to what runs a guest, and its back ends. Uses vmm, measure (firmware), image (base64), guestimg, base; libseccomp.
$(eval $(call host_library,hypervisor,$(sort $(wildcard host-shim/hypervisor/*.c))))
$(eval $(call fuzz_target,fuzz-vhost-user,tests/fuzz/fuzz-vhost-user.c,hypervisor vmm measure image guestimg base,-lseccomp -lcjson))
$(eval $(call unit_test,test-vhost-user,tests/unit/test-vhost-user.c,hypervisor vmm measure image guestimg base,-lseccomp -lcjson))
$(eval $(call unit_test,test-hypervisor,tests/unit/test-hypervisor.c,hypervisor vmm measure image guestimg base,-lseccomp -lcjson))
$(eval $(call unit_test,test-guest-net,tests/unit/test-guest-net.c,hypervisor vmm measure image guestimg base,-lseccomp -lcjson))
$(eval $(call unit_test,test-template,tests/unit/test-template.c,hypervisor vmm measure image guestimg base,-lseccomp -lcjson))
$(eval $(call fuzz_target,fuzz-template,tests/fuzz/fuzz-template.c,hypervisor vmm measure image guestimg base,-lseccomp -lcjson))
$(eval $(call unit_test,test-confidential,tests/unit/test-confidential.c,hypervisor vmm measure image guestimg base,-lseccomp -lcjson))
$(eval $(call fuzz_target,fuzz-confidential,tests/fuzz/fuzz-confidential.c,hypervisor vmm measure image guestimg base,-lseccomp -lcjson))
$(eval $(call unit_test,test-group,tests/unit/test-group.c,hypervisor vmm measure image guestimg base,-lseccomp -lcjson))
