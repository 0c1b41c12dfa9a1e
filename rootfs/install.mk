# SPDX-License-Identifier: Apache-2.0
# Images, installation and distribution. lib/guestimg/locate.h says where programs look for data.

# ---------------------------------------------------------------- images
IMAGE_PROFILE ?= container
IMAGE := build/image/$(IMAGE_PROFILE)

.PHONY: image
image: $(IMAGE)/image.json ## a guest image in build/image (IMAGE_PROFILE=container)
$(IMAGE)/image.json: $(H)/bin/kata-image-tool $(GUEST_PROGRAMS) $(KERNEL_INPUTS) $(shell find rootfs/profiles rootfs/skeleton -type f)
	$(call say,IMAGE,$(IMAGE))
	$(Q)$(H)/bin/kata-image-tool build --quiet $(if $(OFFLINE),--offline) --profile $(IMAGE_PROFILE) -o $(IMAGE)

# ---------------------------------------------------------------- install

install: all image ## install programs, guest image, data, manual pages (PREFIX, DESTDIR)
	$(Q)rootfs/install-files --programs "$(INSTALLED_PROGRAMS)" --guest $(G) --image $(IMAGE) --prefix "$(DESTDIR)$(PREFIX)"

# ---------------------------------------------------------------- distribution
# `make static` builds the host programs a second time, with STATIC=1 (see Makefile).
STATIC_PROGRAMS = $(patsubst build/host/bin/%,build/static/bin/%,$(INSTALLED_PROGRAMS))
DIST := build/dist

.PHONY: static
static: $(GUEST_SYSROOT_STAMP) ## host programs as static-PIE, for machines that lack the libraries
	$(Q)$(MAKE) STATIC=1 $(STATIC_PROGRAMS)
	$(Q)rootfs/check-static-pie $(STATIC_PROGRAMS)

dist: static image ## build/dist: the source, and a tarball of static host programs with a guest image
	$(Q)rootfs/dist --version $(VERSION) --programs "$(STATIC_PROGRAMS)" --guest $(G) --image $(IMAGE) -o $(DIST)
