# SPDX-License-Identifier: Apache-2.0
# oci: digests, references, image and runtime specifications as text. Uses lib/base and cJSON.
# A file is listed here when it compiles.
OCI_SRCS := $(addprefix lib/oci/,digest.c image_spec.c reference.c)
$(eval $(call library,oci,$(OCI_SRCS)))
$(foreach t,digest reference image-spec,$(eval $(call unit_test,test-$(t),tests/unit/test-$(t).c,oci base,-lcjson)))
