# SPDX-License-Identifier: Apache-2.0
# disk: partition tables and the layout of a disk image for Kata, for the image builder.
$(eval $(call host_library,disk,$(sort $(wildcard lib/disk/*.c))))
$(eval $(call unit_test,test-disk,tests/unit/test-disk.c,disk base,-lcjson))
$(eval $(call fuzz_target,fuzz-disk,tests/fuzz/fuzz-disk.c,disk base,-lcjson))
