# SPDX-License-Identifier: Apache-2.0
# elf: what a program is linked with and what it asks of the kernel, for the image builder.
$(eval $(call host_library,elf,$(sort $(wildcard lib/elf/*.c))))
$(eval $(call unit_test,test-elf,tests/unit/test-elf.c,elf base,-lcjson))
$(eval $(call fuzz_target,fuzz-elf,tests/fuzz/fuzz-elf.c,elf base,-lcjson))
