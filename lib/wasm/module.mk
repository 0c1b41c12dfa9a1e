# SPDX-License-Identifier: Apache-2.0
# wasm: the reader of WebAssembly modules, for the image builder.
$(eval $(call host_library,wasm,$(sort $(wildcard lib/wasm/*.c))))
$(eval $(call unit_test,test-wasm,tests/unit/test-wasm.c,wasm base,-lcjson))
$(eval $(call fuzz_target,fuzz-wasm,tests/fuzz/fuzz-wasm.c,wasm base,-lcjson))
