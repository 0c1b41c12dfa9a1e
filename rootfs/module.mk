# SPDX-License-Identifier: Apache-2.0
# rootfs: the guest's libraries and compiler, and the source of all that is in an image.
# OFFLINE=1 uses only what the cache holds.
GUEST_SYSROOT_STAMP := $(G)/sysroot.stamp

$(GUEST_SYSROOT_STAMP): rootfs/build-packages rootfs/build-one rootfs/make-guest-cc \
		$(wildcard rootfs/lib*.sh rootfs/packages/*) rootfs/relro.c
	@rootfs/build-packages $(if $(OFFLINE),--offline) -o $(G)

sources: $(GUEST_SYSROOT_STAMP) ## collect the source of everything in an image into build/sources
	@rootfs/sources $(if $(OFFLINE),--offline) -o build/sources

MODULES += rootfs/install.mk
include rootfs/install.mk
