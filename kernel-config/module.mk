# SPDX-License-Identifier: Apache-2.0
# Guest kernels: build/kernel/PROFILE/{vmlinux,bzImage,kernel.config,kernel.json}, from the cache where it has them.

PROFILE ?= container
KERNEL_PROFILES := $(notdir $(wildcard kernel-config/profiles/*))
KERNEL_INPUTS := kernel-config/build-kernel $(wildcard kernel-config/lib/*.bash kernel-config/fragments/*.config kernel-config/profiles/*)

.PHONY: kernel
kernel: build/kernel/$(PROFILE)/vmlinux ## the guest kernel (PROFILE=container, debug or unikernel)

# The output of build-kernel keeps its times where nothing changed; the touch says that it was looked at.
define kernel_rule
build/kernel/$(1)/vmlinux build/kernel/$(1)/bzImage build/kernel/$(1)/kernel.json &: $$(KERNEL_INPUTS)
	$$(call say,KERNEL,$(1))
	$$(Q)kernel-config/build-kernel --profile $(1) -o build/kernel/$(1) >/dev/null && touch build/kernel/$(1)/{vmlinux,bzImage,kernel.json}
endef
# An interrupted make keeps them: they are replaced in one step, and what is there is whole.
.PRECIOUS: $(foreach profile,$(KERNEL_PROFILES),$(addprefix build/kernel/$(profile)/,vmlinux bzImage kernel.json))
$(foreach profile,$(KERNEL_PROFILES),$(eval $(call kernel_rule,$(profile))))
