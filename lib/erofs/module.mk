# SPDX-License-Identifier: Apache-2.0
# lib/erofs: the EROFS tree, writer and reader, for host and guest.

$(eval $(call library,erofs,$(sort $(wildcard lib/erofs/*.c))))
SYSLIBS_OF_erofs := -llz4

# What tests and benchmarks need: a seeded tree, and the library at the command line.
$(eval $(call host_program,gen-tree,tests/bench/gen-tree.c,,,not-installed))
$(eval $(call host_program,erofs-pack,tests/erofs/erofs-pack.c tests/erofs/golden.c,erofs base,-lcjson,not-installed))

$(eval $(call unit_test,test-erofs-tree,tests/unit/test-erofs-tree.c,erofs base,-lcjson))
$(eval $(call unit_test,test-erofs-golden,tests/unit/test-erofs-golden.c tests/erofs/golden.c,erofs base,-lcjson -lcrypto))
$(foreach t,writer reader lz4,$(eval $(call unit_test,test-erofs-$(t),tests/unit/test-erofs-$(t).c tests/erofs/golden.c,erofs base,-lcjson)))

$(foreach t,reader tree lz4,$(eval $(call fuzz_target,fuzz-erofs-$(t),tests/fuzz/fuzz-erofs-$(t).c,erofs base,-lcjson)))
