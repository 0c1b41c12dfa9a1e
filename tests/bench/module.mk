# SPDX-License-Identifier: Apache-2.0
# What bench row vmm takes besides `make nested`.
$(eval $(call host_program,first-byte,tests/bench/vmm/first-byte.c,base,,not-installed))
$(eval $(call host_program,first-check,tests/bench/vmm/first-check.c tests/agent/wire.c,rpc base,-lprotobuf-c -lcjson,not-installed))
build/nested/first.rom: tests/bench/vmm/first.S
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D) && gcc -c -o $@.o $< && objcopy -O binary -j .text $@.o $@ && rm $@.o
