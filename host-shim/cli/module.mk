# SPDX-License-Identifier: Apache-2.0
# kihon: runs containers and guest images from a shell. Uses hypervisor, rpc, image (init-data), oci (references), guestimg, base.
$(eval $(call host_program,kihon,$(sort $(wildcard host-shim/cli/*.c)),hypervisor vmm rpc measure image oci guestimg base,-lprotobuf-c -lseccomp -lisal -lzstd -lcjson))
