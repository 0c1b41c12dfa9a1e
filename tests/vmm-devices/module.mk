# SPDX-License-Identifier: Apache-2.0
# Device models under a Linux of this project's, in the nested host (tests/nested/steps/devices).
$(eval $(call host_program,vm-devices,tests/vmm-devices/vm-devices.c,vmm base,-lcjson,not-installed))
NESTED_STATIC += build/static/bin/vm-devices

$(G)/test/devices-init: $(G)/test/%: tests/vmm-devices/%.c $(GUEST_SYSROOT_STAMP)
	$(call say,GUESTCC,$<)
	$(Q)mkdir -p $(@D) && $(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS) -s -o $@ $<
build/nested/devices.cpio: $(G)/test/devices-init
	$(call say,MAKE,$@)
	$(Q)rm -rf $@.d && mkdir -p $@.d && cp $< $@.d/init && (cd $@.d && echo init | cpio -o -H newc --quiet) >$@.tmp && rm -r $@.d && mv $@.tmp $@
nested: build/nested/devices.cpio
