# SPDX-License-Identifier: Apache-2.0
# init: what PID 1 needs before anything else, and kihon-init, the PID 1 that runs one program.
$(eval $(call guest_library,init,$(filter-out guest/init/main.c,$(sort $(wildcard guest/init/*.c)))))
$(eval $(call guest_program,kihon-init,guest/init/main.c,init base,))
$(eval $(call unit_test,test-cmdline,tests/unit/test-cmdline.c,init base,-lcjson))
$(eval $(call unit_test,test-exit-port,tests/unit/test-exit-port.c,init base,-lcjson))
$(eval $(call unit_test,test-killed,tests/unit/test-killed.c,init base,-lcjson))
$(eval $(call unit_test,test-started,tests/unit/test-started.c,init base,-lcjson))
$(eval $(call fuzz_target,fuzz-cmdline,tests/fuzz/fuzz-cmdline.c,init base,-lcjson))
