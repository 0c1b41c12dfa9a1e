# SPDX-License-Identifier: Apache-2.0
# image-tool: kata-image-tool, a file a verb.
$(eval $(call host_program,kata-image-tool,$(sort $(wildcard image-tool/*.c)),measure guestimg wasm elf cpio ext4 verity disk image erofs oci base,-lext2fs -lcom_err -lcurl -lssl -lcrypto -lcjson -lz -lisal -lzstd -llz4))
