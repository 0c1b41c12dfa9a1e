# SPDX-License-Identifier: Apache-2.0
# kihon-trace: BPF programs (bpf/, compiled with clang for the kernel, without its headers) in a program that
# loads them. trace-event is what others use, too: names of kinds, and records as JSON.
TRACE_OBJECT := build/gen/guest/trace/trace.bpf.o
TRACE_BPF_FLAGS := -target bpf -mcpu=v2 -O2 -g -Wall -Wextra -Wno-unused-parameter -Werror -nostdinc -I. -fdebug-compilation-dir=. \
	-idirafter $(G)/sysroot/include -idirafter $(G)/tools/uapi

# -g makes the types of the maps, which libbpf reads; what only debuggers want goes.
$(TRACE_OBJECT): guest/trace/bpf/trace.bpf.c guest/trace/bpf/record.h guest/trace/module.mk $(G)/sysroot.stamp
	$(call say,BPFCC,$<)
	$(Q)mkdir -p $(@D) && $(CLANG) $(TRACE_BPF_FLAGS) -c $< -o $@.tmp && llvm-strip -g $@.tmp && mv $@.tmp $@
$(call host_obj,guest/trace/object.c) $(call guest_obj,guest/trace/object.c): $(TRACE_OBJECT)

$(eval $(call guest_library,trace-event,guest/trace/event.c guest/trace/kinds.c))
TRACE_SRCS := $(addprefix guest/trace/,confine.c load.c main.c object.c target.c)
$(eval $(call host_program,kihon-trace,$(TRACE_SRCS),trace-event base,-lbpf -lseccomp -lcjson,not-installed))
$(eval $(call guest_program,kihon-trace,$(TRACE_SRCS),trace-event base,-lbpf -lelf -lz -lseccomp -lcjson))
$(eval $(call unit_test,test-trace-event,tests/unit/test-trace-event.c,trace-event base,-lcjson))
$(eval $(call fuzz_target,fuzz-trace-event,tests/fuzz/fuzz-trace-event.c,trace-event base,-lcjson))
