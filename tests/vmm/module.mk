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

.PHONY: vmm-guests
vmm-guests: $(VMM_GUESTS) $(H)/bin/vm-run # what tests/vmm.bats takes
