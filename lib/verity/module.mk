# SPDX-License-Identifier: Apache-2.0
# verity: dm-verity hash trees, for the image builder and for who checks one.
$(eval $(call library,verity,$(sort $(wildcard lib/verity/*.c))))
$(eval $(call unit_test,test-verity,tests/unit/test-verity.c,verity base,-lcrypto -lcjson))
$(eval $(call fuzz_target,fuzz-verity,tests/fuzz/fuzz-verity.c,verity base,-lcrypto -lcjson))
