# SPDX-License-Identifier: Apache-2.0
# wasi: WASI preview 1 and what compiled WebAssembly needs at run time. All that kata-image-tool
# links with a translated module is in guest/wasm.
$(eval $(call guest_library,wasi,$(sort $(wildcard guest/wasi/*.c))))

$(eval $(call fuzz_target,fuzz-wasi,tests/fuzz/fuzz-wasi.c,wasi base,-lcjson))

WASM_FILES := $(addprefix $(G)/wasm/,libwasi.a libbase.a runtime.h wasm-rt.h)
guest install dist: $(WASM_FILES)
$(G)/wasm/%.a: $(G)/lib/%.a
	$(Q)mkdir -p $(@D) && cp $< $@
$(G)/wasm/%.h: guest/wasi/%.h
	$(Q)mkdir -p $(@D) && cp $< $@
