# SPDX-License-Identifier: Apache-2.0
# lib/erofs: the EROFS tree, writer and reader, for host and guest.

$(eval $(call library,erofs,$(sort $(wildcard lib/erofs/*.c))))

# What tests and benchmarks need: a seeded tree, and the library at the command line.
$(eval $(call host_program,gen-tree,tests/bench/gen-tree.c,,,not-installed))
$(eval $(call host_program,erofs-pack,tests/bench/erofs-pack.c,erofs base,-lcjson,not-installed))
