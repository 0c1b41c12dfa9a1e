# SPDX-License-Identifier: Apache-2.0
# guestimg: image.json and where Kihon's data lies, for the host's programs.
$(eval $(call host_library,guestimg,$(sort $(wildcard lib/guestimg/*.c))))
$(eval $(call unit_test,test-guestimg,tests/unit/test-guestimg.c,guestimg base,-lcjson))
$(eval $(call unit_test,test-kconfig,tests/unit/test-kconfig.c,guestimg base,-lcjson))
$(eval $(call fuzz_target,fuzz-guestimg,tests/fuzz/fuzz-guestimg.c,guestimg base,-lcjson))
$(eval $(call fuzz_target,fuzz-kconfig,tests/fuzz/fuzz-kconfig.c,guestimg base,-lcjson))
