# SPDX-License-Identifier: Apache-2.0
# base: errors, bytes, strings, log, event loop, files, processes, options, JSON. Uses libc and cJSON.
# A file is listed here when it compiles: add yours.
BASE_SRCS := $(addprefix lib/base/,arena.c bytes.c error.c fs.c helper.c json.c log.c loop.c options.c options_help.c \
	process.c relay.c str.c threads.c toml.c toml_scan.c utf8.c)
$(eval $(call library,base,$(BASE_SRCS)))
$(foreach t,error bytes str loop fs helper process options json log toml,$(eval $(call unit_test,test-$(t),tests/unit/test-$(t).c,base,-lcjson)))
