# SPDX-License-Identifier: Apache-2.0
# image-tool: kata-image-tool, a file a verb.
$(eval $(call host_program,kata-image-tool,$(sort $(wildcard image-tool/*.c)),measure guestimg wasm elf cpio ext4 verity disk image erofs oci base,-lext2fs -lcom_err -lcurl -lssl -lcrypto -lcjson -lz -lisal -lzstd -llz4))

$(eval $(call unit_test,test-lock,tests/unit/test-lock.c image-tool/lock.c,base,-lcjson))
$(eval $(call fuzz_target,fuzz-lock,tests/fuzz/fuzz-lock.c image-tool/lock.c,base,-lcjson))
$(eval $(call fuzz_target,fuzz-extra,tests/fuzz/fuzz-extra.c image-tool/extra_tar.c image-tool/report.c,image erofs oci base,-lcrypto -lisal -lzstd -lcjson))
