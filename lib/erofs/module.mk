# SPDX-License-Identifier: Apache-2.0
# lib/erofs: the EROFS tree, writer and reader, for host and guest.

$(eval $(call library,erofs,$(sort $(wildcard lib/erofs/*.c))))
