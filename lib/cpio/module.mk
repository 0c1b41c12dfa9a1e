# SPDX-License-Identifier: Apache-2.0
# cpio: reads the archives that Linux unpacks into its first root, for the image builder.
$(eval $(call host_library,cpio,$(sort $(wildcard lib/cpio/*.c))))
CPIO_LIBS := cpio image erofs oci base
CPIO_SYSLIBS := -lcrypto -lisal -lzstd -llz4 -lcjson
$(eval $(call unit_test,test-cpio,tests/unit/test-cpio.c,$(CPIO_LIBS),$(CPIO_SYSLIBS)))
$(eval $(call fuzz_target,fuzz-cpio,tests/fuzz/fuzz-cpio.c,$(CPIO_LIBS),$(CPIO_SYSLIBS)))
