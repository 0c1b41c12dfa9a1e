# SPDX-License-Identifier: Apache-2.0
# Bare-metal guests for the built-in monitor (tests/vmm.bats): assembly, no libraries, linked at 2 MiB.
VMM_GUESTS := $(patsubst tests/vmm/%.S,$(H)/test/vmm/%,$(wildcard tests/vmm/*.S))
TEST_GUESTS += $(VMM_GUESTS)

$(VMM_GUESTS): $(H)/test/vmm/%: tests/vmm/%.S tests/vmm/guest.inc
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D) && gcc -c -o $@.o $< && ld -static -nostdlib -N --no-warn-rwx-segments -Ttext=0x200000 -e _start -o $@ $@.o && rm $@.o

.PHONY: vmm-guests
vmm-guests: $(VMM_GUESTS) $(H)/bin/vm-run # what tests/vmm.bats takes
