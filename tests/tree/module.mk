# SPDX-License-Identifier: Apache-2.0
# tree-list: lists a file system's tree, in the container and on the host (tests/tree.bats).
TEST_GUESTS += $(G)/test/tree-list
$(G)/test/tree-list: $(call guest_obj,tests/tree/tree-list.c)
	$(call say,GUESTLD,$@)
	$(Q)mkdir -p $(@D) && $(GUEST_CC) $(GUEST_LDFLAGS) -s -o $@ $< -lcrypto
