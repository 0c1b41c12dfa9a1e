/* SPDX-License-Identifier: Apache-2.0 */
/* image_spec: manifests, indexes and configs, good and contradictory. */
#include "check.h"

#include "lib/oci/image_spec.h"

#define HEX64      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DESC(type) "{\"mediaType\":\"" type "\",\"digest\":\"sha256:" HEX64 "\",\"size\":7}"
#define CONFIG     DESC("application/vnd.oci.image.config.v1+json")
#define MANIFEST                                                                                   \
	"{\"schemaVersion\":2,\"config\":" CONFIG                                                  \
	",\"layers\":[" DESC("application/vnd.oci.image.layer.v1.tar+gzip") "]}"
#define ENTRY(platform)                                                                            \
	"{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:" HEX64 \
	"\",\"size\":7,\"platform\":" platform "}"

TEST(media_types)
{
	struct image_media m;

	check_int(image_media_find("application/vnd.oci.image.layer.v1.tar+zstd", &m), 0);
	check_int(m.compression, IMAGE_ZSTD);
	check(!m.encrypted);
	check_int(image_media_find("application/vnd.oci.image.layer.v1.tar+zstd+encrypted", &m), 0);
	check_int(m.compression, IMAGE_ZSTD);
	check(m.encrypted);
	check_int(image_media_find("application/vnd.docker.image.rootfs.diff.tar.gzip", &m), 0);
	check_int(image_media_find("application/vnd.oci.image.index.v1+json; charset=utf-8", &m),
	          0);
	check_int(m.kind, IMAGE_MEDIA_INDEX);
	check_int(image_media_find("application/vnd.oci.image.index.v1+json+encrypted", &m),
	          -ENOENT);
	check_int(image_media_find("application/vnd.oci.image.layer.v1.tar+xz", &m), -ENOENT);
	check_int(image_media_find("", &m), -ENOENT);
}

static int kind(const char *json, const char *type, enum image_media_kind *out)
{
	struct error err = ERROR_INIT;

	return image_manifest_kind(json, strlen(json), type, out, &err);
}

TEST(kinds)
{
	enum image_media_kind k;

	check_int(kind(MANIFEST, NULL, &k), 0);
	check_int(k, IMAGE_MEDIA_MANIFEST);
	check_int(kind(MANIFEST, "application/json", &k), 0);
	check_int(kind(MANIFEST, "application/vnd.oci.image.index.v1+json", &k), -EINVAL);
	check_int(kind("{\"schemaVersion\":2,\"manifests\":[]}", NULL, &k), 0);
	check_int(k, IMAGE_MEDIA_INDEX);
	check_int(kind("{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}", NULL, &k), -EINVAL);
	check_int(kind("{\"schemaVersion\":2}", NULL, &k), -EINVAL);
	check_int(kind("{\"schemaVersion\":1,\"fsLayers\":[]}", NULL, &k), -EPROTONOSUPPORT);
	check_int(kind("{\"schemaVersion\":2,\"mediaType\":"
	               "\"application/vnd.oci.image.index.v1+json\",\"layers\":[]}",
	               NULL, &k),
	          -EINVAL);
	check(kind("[]", NULL, &k) < 0);
	check(kind("", NULL, &k) < 0);
}

TEST(manifest)
{
	_cleanup_image_manifest_ struct image_manifest m = {0};
	struct error err = ERROR_INIT;

	check_ok(image_manifest_parse(MANIFEST, strlen(MANIFEST), &m, &err), &err);
	check_int(m.n_layers, 1);
	check_int(m.layers[0].size, 7);
	check_str(m.layers[0].digest.text, "sha256:" HEX64);
}

TEST(manifest_bad)
{
	static const char *const texts[] = {
	    "{\"schemaVersion\":2,\"config\":" CONFIG "}",
	    "{\"schemaVersion\":2,\"layers\":[]}",
	    "{\"schemaVersion\":2,\"config\":" DESC("application/vnd.x+json") ",\"layers\":[]}",
	    "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[{}]}",
	    "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[7]}",
	    "{\"schemaVersion\":2,\"config\":" CONFIG
	    ",\"layers\":[{\"mediaType\":\"x\",\"digest\":\"sha256:" HEX64 "\",\"size\":-1}]}",
	    "{\"schemaVersion\":2,\"config\":" CONFIG
	    ",\"layers\":[{\"mediaType\":\"x\",\"digest\":\"sha256:" HEX64 "\",\"size\":1e15}]}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct error err = ERROR_INIT;
		struct image_manifest m;

		if (image_manifest_parse(texts[i], strlen(texts[i]), &m, &err) >= 0)
			check_fail(__FILE__, __LINE__, "\"%s\" was taken", texts[i]);
		check(err.text[0]);
	}
}

TEST(members_twice)
{
	static const char manifest[] =
	    "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[],\"%s\":[]}";
	static const char *const bad[] = {"layers", "Layers", "LAYERS", "schemaversion"};
	struct image_manifest m;
	char text[512];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = ERROR_INIT;

		snprintf(text, sizeof(text), manifest, bad[i]);
		check_int(image_manifest_parse(text, strlen(text), &m, &err), -EINVAL);
		check(strstr(err.text, "more than one"));
	}
	snprintf(text, sizeof(text), manifest, "else");
	check_int(image_manifest_parse(text, strlen(text), &m, NULL), 0);
	image_manifest_clear(&m);
}

TEST(index_choice)
{
	static const char json[] =
	    "{\"schemaVersion\":2,\"manifests\":["
	    "{\"mediaType\":\"a\",\"digest\":\"sha256:" HEX64 "\",\"size\":1},"
	    "{\"mediaType\":\"unknown\",\"digest\":\"sha256:" HEX64
	    "\",\"size\":1,\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}},"
	    "{\"mediaType\":\"v3\",\"digest\":\"sha256:" HEX64
	    "\",\"size\":1,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\",\"variant\":"
	    "\"v3\"}},"
	    "{\"mediaType\":\"plain\",\"digest\":\"sha256:" HEX64
	    "\",\"size\":1,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}},"
	    "{\"mediaType\":\"arm\",\"digest\":\"sha256:" HEX64
	    "\",\"size\":1,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":"
	    "\"v8\"}}]}";
	struct image_platform want;
	struct image_descriptor d;
	struct error err = ERROR_INIT;

	check_ok(image_platform_parse("linux/amd64", &want, &err), &err);
	check_ok(image_index_choose(json, strlen(json), &want, &d, &err), &err);
	check_str(d.media_type, "plain");
	check_ok(image_platform_parse("linux/amd64/v3", &want, &err), &err);
	check_ok(image_index_choose(json, strlen(json), &want, &d, &err), &err);
	check_str(d.media_type, "v3");
	check_ok(image_platform_parse("linux/arm64", &want, &err), &err);
	check_ok(image_index_choose(json, strlen(json), &want, &d, &err), &err);
	check_str(d.media_type, "arm");
	check_ok(image_platform_parse("linux/s390x", &want, &err), &err);
	check_int(image_index_choose(json, strlen(json), &want, &d, &err), -ENOENT);
	check_str(err.text, "the image is not there for linux/s390x (there is: linux/amd64, "
	                    "linux/amd64, linux/arm64)");
	check_int(image_platform_parse("linux", &want, &err), -EINVAL);
	check_int(image_platform_parse("a/b/c/d", &want, &err), -EINVAL);
}

TEST(config)
{
	static const char json[] =
	    "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\","
	    "\"diff_ids\":[\"sha256:" HEX64 "\"]},\"config\":{\"Cmd\":[\"sh\"],\"Env\":[\"A=b\","
	    "\"C=\"],\"Entrypoint\":null,\"WorkingDir\":\"/w\",\"User\":\"1:2\"}}";
	_cleanup_image_config_ struct image_config c = {0};
	struct error err = ERROR_INIT;

	check_ok(image_config_parse(json, strlen(json), &c, &err), &err);
	check_int(c.n_diff_ids, 1);
	check_int(c.entrypoint.n, 0);
	check_int(c.cmd.n, 1);
	check_int(c.env.n, 2);
	check_str(c.working_dir, "/w");
	check_str(c.user, "1:2");
	check(!c.stop_signal);
}

TEST(config_bad)
{
	static const char *const texts[] = {
	    "{\"os\":\"windows\",\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[]}}",
	    "{\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[]}}",
	    "{\"os\":\"linux\",\"architecture\":\"amd64\"}",
	    "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[7]}}",
	    "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[\"x\"]}}",
	    "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[]},\"config\":"
	    "{\"Cmd\":[1]}}",
	    "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[]},\"config\":"
	    "7}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct error err = ERROR_INIT;
		struct image_config c;

		if (image_config_parse(texts[i], strlen(texts[i]), &c, &err) >= 0)
			check_fail(__FILE__, __LINE__, "\"%s\" was taken", texts[i]);
	}
}

TEST_MAIN()
