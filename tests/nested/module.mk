# SPDX-License-Identifier: Apache-2.0
# The machine in which the built-in VMM is tested: a Linux with KVM, itself emulated (tests/nested/run).
NESTED_GUESTS := $(G)/test/kvm-hello $(G)/test/nested-program $(G)/test/identity $(G)/test/fetch $(G)/test/hog
TEST_GUESTS += nested
# Static ones: host programs and unit tests that are run there.
NESTED_STATIC := build/static/bin/kihon build/static/bin/vm-run build/static/bin/agent-client build/static/bin/run-program build/static/test/test-jail build/static/test/test-jail-calls build/static/test/test-vmm-state

$(G)/test/nested-program: tests/nested/program.c $(GUEST_SYSROOT_STAMP)
$(G)/test/identity: tests/nested/identity.c $(GUEST_SYSROOT_STAMP)
$(G)/test/fetch: tests/nested/fetch.c $(GUEST_SYSROOT_STAMP)
$(G)/test/hog: tests/nested/hog.c $(GUEST_SYSROOT_STAMP)
$(G)/test/kvm-hello: tests/nested/kvm-hello.c $(GUEST_SYSROOT_STAMP)
$(NESTED_GUESTS):
	$(call say,GUESTCC,$<)
	$(Q)mkdir -p $(@D) && $(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS) -s -o $@ $<

# What guests in that machine find: an EROFS image, in their initrd, on a disk and as pmem (tests/kernel/probe-init.c).
NESTED_FILES := build/nested/probe.cpio build/nested/probe.erofs build/nested/disk.ext4
$(NESTED_FILES) &: $(G)/test/probe-init tests/nested/make-files
	$(call say,MAKE,build/nested)
	$(Q)tests/nested/make-files $< build/nested

build/nested/program/image.json: $(G)/test/nested-program build/kernel/unikernel/vmlinux $(H)/bin/kata-image-tool $(G)/bin/kihon-init
	$(call say,IMAGE,build/nested/program)
	$(Q)$(H)/bin/kata-image-tool pack --quiet --offline --kernel build/kernel/unikernel -o build/nested/program $(G)/test/nested-program

# A program that has a network.
build/nested/network/image.json: tests/nested/network.sh build/kernel/unikernel-net/vmlinux $(H)/bin/kata-image-tool $(G)/bin/kihon-init
	$(call say,IMAGE,build/nested/network)
	$(Q)rm -rf build/nested/network-root && mkdir -p build/nested/network-root/bin build/nested/network-root/tmp
	$(Q)cp $$(command -v busybox) build/nested/network-root/bin/busybox && cp $< build/nested/network-root/bin/
	$(Q)$(H)/bin/kata-image-tool pack --quiet --offline --kernel build/kernel/unikernel-net -o build/nested/network \
		build/nested/network-root -- /bin/busybox sh /bin/network.sh

# A hostile guest: 32-bit code, entered through its PVH note.
build/nested/flood.elf: tests/nested/flood.c
	$(call say,GUESTCC,$<)
	$(Q)mkdir -p $(@D) && gcc -m32 -std=gnu17 -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables \
		-O2 -Wall -Wextra -Werror -c -o $@.o $< && ld -m elf_i386 -static -nostdlib -N --no-warn-rwx-segments -Ttext=0x100000 \
		--section-start=.note.pvh=0x180000 -e start -o $@ $@.o && rm $@.o

.PHONY: nested check-nested
nested: $(NESTED_GUESTS) $(NESTED_FILES) build/nested/flood.elf build/nested/program/image.json build/nested/network/image.json build/image/container/image.json build/kernel/kvm-host/vmlinux build/kernel/container/vmlinux $(H)/bin/kata-image-tool $(GUEST_SYSROOT_STAMP) # what tests/nested/run takes
	$(Q)$(MAKE) STATIC=1 $(NESTED_STATIC)
check-nested: nested ## the built-in VMM under KVM, in an emulated host
	@tests/nested/run --all

$(eval $(call host_program,vm-run,tests/nested/vm-run.c,vmm base,-lcjson,not-installed))
$(eval $(call host_program,run-program,tests/nested/run-program.c,rpc base,-lprotobuf-c -lcjson,not-installed))
$(eval $(call unit_test,test-jail,tests/unit/test-jail.c,vmm base,-lcjson))
$(eval $(call unit_test,test-jail-calls,tests/unit/test-jail-calls.c,vmm base,-lcjson))
$(eval $(call unit_test,test-vmm-snapshot,tests/unit/test-vmm-snapshot.c,vmm base,-lcjson))
$(eval $(call fuzz_target,fuzz-vmm-snapshot,tests/fuzz/fuzz-vmm-snapshot.c,vmm base,-lcjson))
$(eval $(call unit_test,test-vmm-pages,tests/unit/test-vmm-pages.c,vmm base,-lcjson))
$(eval $(call unit_test,test-vmm-page-trace,tests/unit/test-vmm-page-trace.c,vmm base,-lcjson))
$(eval $(call unit_test,test-vmm-acpi,tests/unit/test-vmm-acpi.c,vmm base,-lcjson))
$(eval $(call unit_test,test-vmm-state,tests/unit/test-vmm-state.c,vmm base,-lcjson))
$(eval $(call unit_test,test-vmm-vm,tests/unit/test-vmm-vm.c,vmm base,-lcjson))
