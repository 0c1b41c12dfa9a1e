# SPDX-License-Identifier: Apache-2.0
# disk: partition tables and the layout of a disk image for Kata, for the image builder and the agent.
$(eval $(call library,disk,$(sort $(wildcard lib/disk/*.c))))
$(eval $(call unit_test,test-disk,tests/unit/test-disk.c,disk base,-lcjson))
$(eval $(call fuzz_target,fuzz-disk,tests/fuzz/fuzz-disk.c,disk base,-lcjson))
$(eval $(call unit_test,test-gpt,tests/unit/test-gpt.c,disk base,-lcjson))
$(eval $(call fuzz_target,fuzz-gpt,tests/fuzz/fuzz-gpt.c,disk base,-lcjson))
