/* SPDX-License-Identifier: Apache-2.0 */
/* lib/oci/image_index and the index.json of a layout that images are added to. */
#include "check.h"

#include "lib/image/oci_dest_index.h"
#include "lib/oci/image_index.h"

#define D1       "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2       "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define MANIFEST "\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\""
#define REF(tag) "\"annotations\":{\"org.opencontainers.image.ref.name\":\"" tag "\"}"

static int parse(const char *json, struct image_index *out, struct error *err)
{
	*out = (struct image_index){0};
	return image_index_parse(json, strlen(json), "index.json", out, err);
}

TEST(entries_with_and_without_platform_and_tag)
{
	_cleanup_image_index_ struct image_index i;
	struct image_platform arm = {"linux", "arm64", ""}, v8 = {"linux", "arm64", "v8"};
	struct image_platform amd = {"linux", "amd64", ""};
	struct error err = ERROR_INIT;

	check_ok(parse("{\"schemaVersion\":2,\"manifests\":["
	               "{" MANIFEST ",\"digest\":\"" D1 "\",\"size\":5," REF(
	                   "a/b:1") "},"
	                            "{\"mediaType\":\"application/x-else\",\"digest\":\"" D1
	                            "\",\"size\":5},"
	                            "{" MANIFEST ",\"digest\":\"" D2
	                            "\",\"size\":6,\"platform\":{\"os\":\"linux\","
	                            "\"architecture\":\"arm64\",\"variant\":\"v8\"}}]}",
	               &i, &err),
	         &err);
	check_int(i.n, 2); /* the one of another type is passed over */
	check_str(i.entries[0].ref_name, "a/b:1");
	check(!i.entries[0].has_platform && i.entries[1].has_platform);
	check(!i.entries[1].ref_name);
	check_str(i.entries[1].desc.digest.text, D2);
	check_int(image_index_fit(&i.entries[0], &amd), 1);
	check_int(image_index_fit(&i.entries[1], &amd), 0);
	check_int(image_index_fit(&i.entries[1], &arm), 1);
	check_int(image_index_fit(&i.entries[1], &v8), 2);
}

TEST(what_is_no_index_is_refused)
{
	static const char *const bad[] = {
	    "",
	    "[]",
	    "{}",
	    "{\"schemaVersion\":1,\"manifests\":[]}",
	    "{\"schemaVersion\":2}",
	    "{\"schemaVersion\":2,\"manifests\":{}}",
	    "{\"schemaVersion\":2,\"manifests\":[1]}",
	    "{\"schemaVersion\":2,\"manifests\":[{}]}",
	    "{\"schemaVersion\":2,\"manifests\":[{" MANIFEST ",\"digest\":\"" D1
	    "\",\"size\":-1}]}",
	    "{\"schemaVersion\":2,\"manifests\":[{" MANIFEST ",\"digest\":\"" D1
	    "\",\"size\":1e300}]}",
	    "{\"schemaVersion\":2,\"manifests\":[{" MANIFEST
	    ",\"digest\":\"sha256:../../etc/passwd\",\"size\":1}]}",
	    "{\"schemaVersion\":2,\"manifests\":[{" MANIFEST ",\"digest\":\"" D1
	    "\",\"size\":1,\"platform\":[]}]}",
	    "{\"schemaVersion\":2,\"manifests\":[{" MANIFEST ",\"digest\":\"" D1
	    "\",\"size\":1,\"annotations\":{\"org.opencontainers.image.ref.name\":7}}]}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = ERROR_INIT;
		struct image_index index;

		check(parse(bad[i], &index, &err) < 0);
		check_int(err.kind, ERROR_INPUT);
		check(err.text[0] && !strchr(err.text, '\n'));
	}
}

static void add_to(struct buffer *json, const char *tag, const char *digest)
{
	struct dest_manifest m = {.tag = (char *)tag,
	                          .desc = {.media_type = IMAGE_TYPE_MANIFEST, .size = 7}};
	_cleanup_buffer_ struct buffer old = *json;
	struct error err = ERROR_INIT;

	*json = (struct buffer)BUFFER_INIT;
	check_int(digest_parse(digest, "x", &m.desc.digest, NULL), 0);
	check_ok(dest_index(&old, &m, 1, json, &err), &err);
}

TEST(names_of_entries)
{
	static const char *const good[] = {"a", "v1.0", "a--b", "a_b", "x/y:1@z+1", "0"};
	static const char *const bad[] = {"",   "-a",  "a-",  "a---b", "a..b",    "a/",
	                                  "/a", "a b", "a\n", "a__b",  "\xc3\xa9"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		check(image_ref_name_ok(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check(!image_ref_name_ok(bad[i]));
}

TEST(a_tag_is_replaced_and_others_stay)
{
	_cleanup_buffer_ struct buffer json = BUFFER_INIT;
	_cleanup_image_index_ struct image_index i;
	struct error err = ERROR_INIT;

	add_to(&json, "one", D1);
	add_to(&json, "two", D1);
	add_to(&json, "one", D2);
	check_ok(parse(buffer_cstr(&json), &i, &err), &err);
	check_int(i.n, 2);
	check_str(i.entries[0].ref_name, "two");
	check_str(i.entries[1].ref_name, "one");
	check_str(i.entries[1].desc.digest.text, D2);
}

TEST(an_index_that_is_none_is_not_added_to)
{
	_cleanup_buffer_ struct buffer old = BUFFER_INIT, out = BUFFER_INIT;
	struct error err = ERROR_INIT;

	buffer_str(&old, "{\"manifests\":7}");
	check(dest_index(&old, NULL, 0, &out, &err) < 0);
	check_int(err.kind, ERROR_INPUT);
}

TEST_MAIN()
