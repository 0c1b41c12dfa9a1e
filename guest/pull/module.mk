# SPDX-License-Identifier: Apache-2.0
# kihon-pull: thin over lib/image; for the guest (static musl) and for the host, where tests use it.
PULL_SRCS := $(addprefix guest/pull/,main.c init_data.c pull.c sandbox.c syscalls.c)
$(eval $(call host_program,kihon-pull,$(PULL_SRCS),image erofs oci base,-lcurl -lseccomp -lssl -lcrypto -lisal -lzstd -lcjson))
$(eval $(call guest_program,kihon-pull,$(PULL_SRCS),image erofs oci base,-lcurl -lssl -lcrypto -lisal -lzstd -lcjson -lseccomp))
