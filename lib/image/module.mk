# SPDX-License-Identifier: Apache-2.0
# image: an OCI image from a registry, checked and made into one EROFS file a layer; and pushing to registries.
# A file is listed here when it compiles.
IMAGE_SRCS := $(addprefix lib/image/,artifact.c auth.c base64.c crosslink.c dedupe.c encrypt.c encrypt_jwe.c erofs_layer.c hash.c http.c inflate.c initdata.c layer.c \
	lower.c merge.c oci_dest.c oci_dest_archive.c oci_dest_commit.c \
	oci_dest_index.c oci_files.c oci_source.c oci_source_docker.c oci_source_layout.c \
	oci_source_registry.c path.c policy.c pull.c pull_layers.c push.c registry.c registry_config.c remote.c settings.c stage.c store.c \
	tar.c tar_header.c tar_pax.c tar_sparse.c trust.c)
$(eval $(call library,image,$(IMAGE_SRCS)))

IMAGE_LIBS := image erofs oci base
IMAGE_SYSLIBS := -lcrypto -lisal -lzstd -lcjson
IMAGE_TAR_TESTS := tar layer
$(eval $(call unit_test,test-oci-source,tests/unit/test-oci-source.c tests/unit/tar_maker.c,$(IMAGE_LIBS),-lcurl -lssl $(IMAGE_SYSLIBS)))
$(foreach t,$(IMAGE_TAR_TESTS),$(eval $(call unit_test,test-$(t),tests/unit/test-$(t).c \
	tests/unit/tar_maker.c,$(IMAGE_LIBS),$(IMAGE_SYSLIBS))))
$(foreach t,artifact auth image-index inflate initdata policy registry-config,$(eval $(call unit_test,test-$(t),tests/unit/test-$(t).c,\
	$(IMAGE_LIBS),-lcurl -lssl $(IMAGE_SYSLIBS))))

$(foreach t,artifact tar layer toml reference inflate oci-layout registry,$(eval $(call fuzz_target,fuzz-$(t),tests/fuzz/fuzz-$(t).c,\
	$(IMAGE_LIBS),-lcurl -lssl $(IMAGE_SYSLIBS))))
$(eval $(call unit_test,test-trust,tests/unit/test-trust.c,$(IMAGE_LIBS),-lcrypto))
