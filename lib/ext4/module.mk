# SPDX-License-Identifier: Apache-2.0
# ext4: an ext4 image from what is in an EROFS image, for the image builder.
$(eval $(call host_library,ext4,$(sort $(wildcard lib/ext4/*.c))))
$(eval $(call unit_test,test-ext4,tests/unit/test-ext4.c tests/erofs/golden.c,ext4 erofs base,-lext2fs -lcom_err -lcjson))
$(eval $(call fuzz_target,fuzz-ext4,tests/fuzz/fuzz-ext4.c,ext4 erofs base,-lext2fs -lcom_err -lcjson))

# The library at the command line, for benchmarks and tests/ext4.bats.
$(eval $(call host_program,ext4-pack,tests/ext4/ext4-pack.c,ext4 erofs base,-lext2fs -lcom_err -lcjson,not-installed))
$(eval $(call fuzz_target,fuzz-ext4-walk,tests/fuzz/fuzz-ext4-walk.c,ext4 erofs base,-lext2fs -lcom_err -lcjson))
