# SPDX-License-Identifier: Apache-2.0
# Guests of the kernel's own tests: build/guest/test/{probe-init,bare-init,entry.elf}; and the kernel itself, so
# that it is built before any suite starts and counts its time.

TEST_GUESTS += $(G)/test/probe-init $(G)/test/bare-init $(G)/test/entry.elf build/kernel/container/vmlinux

$(G)/test/probe-init: tests/kernel/probe-init.c $(GUEST_SYSROOT_STAMP)
$(G)/test/bare-init: tests/bench/boot/bare-init.c $(GUEST_SYSROOT_STAMP)
$(G)/test/probe-init $(G)/test/bare-init:
	$(call say,GUESTCC,$<)
	$(Q)mkdir -p $(@D) && $(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS) -s -o $@ $<

# Plain machine code at 1 MiB, entered through its PVH note as a kernel would be.
$(G)/test/entry.elf: tests/bench/boot/entry.S
	$(call say,GUESTAS,$<)
	$(Q)mkdir -p $(@D) && gcc -m32 -c -o $@.o $< && ld -m elf_i386 -static -nostdlib -Ttext=0x100000 -e start -o $@ $@.o && rm $@.o
