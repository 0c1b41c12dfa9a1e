# SPDX-License-Identifier: Apache-2.0
# kihon-hot: the first process of a traced boot, for kata-image-tool build --hot auto.
$(eval $(call guest_program,kihon-hot,$(sort $(wildcard guest/hot/*.c)),base,))
