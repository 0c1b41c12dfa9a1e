# SPDX-License-Identifier: Apache-2.0
# oci: digests, references, image and runtime specifications as text. Uses lib/base and cJSON.
# A file is listed here when it compiles.
OCI_SRCS := $(addprefix lib/oci/,digest.c image_index.c image_spec.c json_table.c json_table_write.c reference.c \
	runtime_spec.c runtime_spec_json.c)
$(eval $(call library,oci,$(OCI_SRCS)))
$(foreach t,digest reference image-spec oci-spec oci-spec-write,$(eval $(call unit_test,test-$(t),tests/unit/test-$(t).c,oci base,-lcjson)))
$(eval $(call fuzz_target,fuzz-oci-spec,tests/fuzz/fuzz-oci-spec.c,oci base,-lcjson))
