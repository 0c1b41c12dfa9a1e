# SPDX-License-Identifier: Apache-2.0
# image-tool: kata-image-tool, a file a verb.
$(eval $(call host_program,kata-image-tool,$(sort $(wildcard image-tool/*.c)),guestimg ext4 verity disk image erofs oci base,-lext2fs -lcom_err -lcrypto -lcjson -lz -lzstd -llz4))
