# SPDX-License-Identifier: Apache-2.0
# Bare-metal guests for the built-in monitor (tests/vmm.bats): assembly, no libraries, linked at 2 MiB.
VMM_GUESTS := $(patsubst tests/vmm/%.S,$(H)/test/vmm/%,$(wildcard tests/vmm/*.S))
VMM_GUESTS += $(H)/test/vmm/hostile
TEST_GUESTS += $(VMM_GUESTS)

$(filter-out %/hostile,$(VMM_GUESTS)): $(H)/test/vmm/%: tests/vmm/%.S tests/vmm/guest.inc
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D) && gcc -c -o $@.o $< && ld -static -nostdlib -N --no-warn-rwx-segments -Ttext=0x200000 -e _start -o $@ $@.o && rm $@.o

# The same in C: no library, no vector registers, no stack protector.
$(H)/test/vmm/hostile: tests/vmm/hostile.c tests/vmm/hostile_lib.c tests/vmm/hostile.h
	$(call say,GUEST,$<)
	$(Q)mkdir -p $(@D) && gcc -std=gnu17 -I. -O2 $(WARN) -ffreestanding -fno-stack-protector -fcf-protection=none -fno-pie -mgeneral-regs-only \
		-mno-red-zone -fno-strict-aliasing -fno-tree-loop-distribute-patterns -nostdlib -static -no-pie -Wl,--build-id=none,-Ttext=0x200000,-N,--no-warn-rwx-segments \
		-o $@ $(filter %.c,$^)

# As others link multiboot kernels: 32 bits, a section of its own for the header, at 4 MiB.
VMM_STRANGER := $(H)/test/vmm/stranger
TEST_GUESTS += $(VMM_STRANGER)
$(VMM_STRANGER): tests/vmm/stranger.c tests/vmm/stranger.lds
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && gcc -m32 -std=gnu17 -O1 -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables \
		-mno-sse -fcf-protection=none -Wall -Wextra -Werror -c -o $@.o $< && ld -m elf_i386 -static -nostdlib \
		--no-warn-rwx-segments -z noexecstack -T tests/vmm/stranger.lds -o $@ $@.o && rm $@.o

.PHONY: vmm-guests
vmm-guests: $(VMM_GUESTS) $(VMM_STRANGER) $(H)/bin/vm-run # what tests/vmm.bats takes
