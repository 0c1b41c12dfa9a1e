# SPDX-License-Identifier: Apache-2.0
# measure: what a confidential guest's launch measurement must be, for the image builder and hypervisors.
$(eval $(call host_library,measure,$(sort $(wildcard lib/measure/*.c))))
$(eval $(call unit_test,test-measure,tests/unit/test-measure.c,measure base,-lcrypto -lcjson))
$(eval $(call fuzz_target,fuzz-firmware,tests/fuzz/fuzz-firmware.c,measure base,-lcrypto -lcjson))
$(eval $(call fuzz_target,fuzz-bzimage,tests/fuzz/fuzz-bzimage.c,measure base,-lcrypto -lcjson))
