# SPDX-License-Identifier: Apache-2.0
# What measures devices of the built-in monitor beside QEMU's (tests/bench/rows/vmm-devices): the host's side, and the
# first process of the guest.
$(eval $(call host_program,device-peer,tests/vmm-bench/device-peer.c,rpc base,-lprotobuf-c -lcjson,not-installed))

$(G)/test/bench-guest: $(G)/test/%: tests/vmm-bench/%.c $(GUEST_SYSROOT_STAMP)
	$(call say,GUESTCC,$<)
	$(Q)mkdir -p $(@D) && $(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS) -s -o $@ $<
build/nested/bench.cpio: $(G)/test/bench-guest
	$(call say,MAKE,$@)
	$(Q)rm -rf $@.d && mkdir -p $@.d/dev && cp $< $@.d/init && (cd $@.d && printf 'init\ndev\n' | cpio -o -H newc --quiet) >$@.tmp && rm -r $@.d && mv $@.tmp $@
NESTED_STATIC += build/static/bin/device-peer
nested: build/nested/bench.cpio
