# SPDX-License-Identifier: Apache-2.0
# rpc: our protobuf definitions, compiled by protoc-c, and ttrpc over the event loop.
RPC_PROTOS := $(sort $(wildcard lib/rpc/proto/*.proto))
RPC_GEN_SRCS := $(RPC_PROTOS:%.proto=build/gen/%.pb-c.c)
GEN_HEADERS += $(RPC_PROTOS:%.proto=build/gen/%.pb-c.h)

# One run makes both files of a .proto.
build/gen/lib/rpc/proto/%.pb-c.c build/gen/lib/rpc/proto/%.pb-c.h &: lib/rpc/proto/%.proto
	$(call say,PROTOC,$<)
	$(Q)mkdir -p build/gen && protoc-c --c_out=build/gen -I. $<

$(eval $(call library,rpc,$(sort $(wildcard lib/rpc/*.c)) $(RPC_GEN_SRCS)))
# Generated code: what its style warns about is not ours to change.
$(foreach s,$(RPC_GEN_SRCS),$(eval CFLAGS_$(s) := -Wno-conversion -Wno-shadow))
$(foreach t,ttrpc rpc proto,$(eval $(call unit_test,test-$(t),tests/unit/test-$(t).c,rpc base,-lprotobuf-c)))
$(eval $(call fuzz_target,fuzz-ttrpc,tests/fuzz/fuzz-ttrpc.c,rpc base,-lprotobuf-c -lcjson))
$(eval $(call fuzz_target,fuzz-proto-parts,tests/fuzz/fuzz-proto-parts.c,rpc base,-lprotobuf-c -lcjson))
