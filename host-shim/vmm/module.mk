# SPDX-License-Identifier: Apache-2.0
# vmm: guest memory, virtqueues and device models, on plain memory and an event loop. Uses base.
$(eval $(call host_library,vmm,$(filter-out host-shim/vmm/jail_filter.c,$(sort $(wildcard host-shim/vmm/*.c host-shim/vmm/*/*.c)))))
# The system-call filters, made by a program of the build.
JAIL_FILTERS := build/gen/host-shim/vmm/jail_filters.h
HOST_SRCS += host-shim/vmm/jail_filter.c
GEN_HEADERS += $(JAIL_FILTERS)
$(JAIL_FILTERS): host-shim/vmm/jail_filter.c host-shim/vmm/jail.h
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && gcc $(COMMON) $(WARN) -o build/gen/jail-filter $< -lseccomp && build/gen/jail-filter >$@.tmp && mv $@.tmp $@
SYSLIBS_OF_vmm := -lseccomp -lisal
VMM_DEVICES := balloon blk console exit-port fs mem net pmem rng
$(eval $(call unit_test,test-virtqueue,tests/unit/test-virtqueue.c,vmm base,-lcjson))
$(foreach t,test-vsock test-vsock-ring test-vsock-listen,$(eval $(call unit_test,$(t),tests/unit/$(t).c,vmm base,-lcjson)))
$(eval $(call fuzz_target,fuzz-virtqueue,tests/fuzz/fuzz-virtqueue.c,vmm base,-lcjson))
$(eval $(call fuzz_target,fuzz-vsock,tests/fuzz/fuzz-vsock.c,vmm base,-lcjson))
$(foreach d,$(VMM_DEVICES) serial,$(eval $(call unit_test,test-vmm-$(d),tests/unit/test-vmm-$(d).c,vmm base,-lcjson)))
$(foreach d,$(VMM_DEVICES),$(eval $(call fuzz_target,fuzz-virtio-$(d),tests/fuzz/fuzz-virtio-$(d).c,vmm base,-lcjson)))
$(eval $(call fuzz_target,fuzz-serial,tests/fuzz/fuzz-serial.c,vmm base,-lcjson))
# The machine itself.
$(foreach t,kernel mmio bus cpuid stats ram,$(eval $(call unit_test,test-vmm-$(t),tests/unit/test-vmm-$(t).c,vmm base,-lcjson)))
$(foreach t,kernel mmio,$(eval $(call fuzz_target,fuzz-vmm-$(t),tests/fuzz/fuzz-vmm-$(t).c,vmm base,-lcjson)))
$(eval $(call unit_test,test-vmm-net-receive,tests/unit/test-vmm-net-receive.c,vmm base,-lcjson))
$(eval $(call unit_test,test-vmm-events,tests/unit/test-vmm-events.c,vmm base,-lcjson))
