# SPDX-License-Identifier: Apache-2.0
# kihon-oci: the OCI command line on the container engine. Static, as it runs in guests and on hosts;
# a second build with the host's libraries is what tests run under the sanitizers.
OCI_RUNTIME_SRCS := $(sort $(wildcard guest/oci/*.c))
$(eval $(call guest_program,kihon-oci,$(OCI_RUNTIME_SRCS),container oci base,-lseccomp -lcjson))
$(eval $(call host_program,kihon-oci,$(OCI_RUNTIME_SRCS),container oci base,-lseccomp -lcjson))
