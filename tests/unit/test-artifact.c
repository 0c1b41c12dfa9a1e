/* SPDX-License-Identifier: Apache-2.0 */
/* artifact: manifests that are written, that are taken, and that are not. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/image/artifact.h"
#include "lib/image/push.h"
#include "tests/unit/check.h"

#define D "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define LAYER(name)                                                                                \
	"{\"mediaType\":\"x/y\",\"digest\":\"" D "\",\"size\":2,"                                  \
	"\"annotations\":{\"org.opencontainers.image.title\":\"" name "\"}}"
#define MANIFEST(layers)                                                                           \
	"{\"schemaVersion\":2,\"artifactType\":\"x/z\",\"config\":{},\"layers\":[" layers "]}"

static int parse(const char *json, struct artifact *out)
{
	return artifact_parse(json, strlen(json), out, NULL);
}

TEST(written_as_the_specification_has_it)
{
	struct artifact_file file = {.name = "a\"b", .media_type = "x/y", .size = 7};
	struct image_descriptor subject = {.media_type = "m", .size = 3};
	const struct artifact_annotation note = {"k", "v"};
	const struct artifact a = {.type = "x/z",
	                           .files = &file,
	                           .n_files = 1,
	                           .subject = &subject,
	                           .annotations = &note,
	                           .n_annotations = 1};
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;

	snprintf(file.digest.text, sizeof(file.digest.text), D);
	subject.digest = file.digest;
	artifact_format(&a, &out);
	check_str(
	    buffer_cstr(&out),
	    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
	    "\"artifactType\":\"x/z\",\"config\":{\"mediaType\":"
	    "\"application/vnd.oci.empty.v1+json\",\"digest\":\"" D
	    "\",\"size\":2,\"data\":\"e30=\"},\"layers\":[{\"mediaType\":\"x/y\",\"digest\":\"" D
	    "\",\"size\":7,\"annotations\":{\"org.opencontainers.image.title\":\"a\\\"b\"}}],"
	    "\"subject\":{\"mediaType\":\"m\",\"digest\":\"" D "\",\"size\":3},"
	    "\"annotations\":{\"k\":\"v\"}}");
}

TEST(an_artifact_is_taken)
{
	_cleanup_artifact_ struct artifact a = {0};

	check(parse(MANIFEST(LAYER("one") "," LAYER("two")), &a) == 0);
	check_str(a.type, "x/z");
	check(a.n_files == 2);
	check(artifact_find(&a, "two") == &a.files[1]);
	check(artifact_find(&a, "three") == NULL);
	check(a.files[0].size == 2);
}

TEST(an_older_artifact_has_its_type_in_the_config)
{
	_cleanup_artifact_ struct artifact a = {0};

	check(parse("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x/c\"},\"layers\":[]}", &a) ==
	      0);
	check_str(a.type, "x/c");
}

TEST(names_that_are_no_file_names_are_refused)
{
	static const char *const wrong[] = {
	    MANIFEST(LAYER("")),
	    MANIFEST(LAYER(".")),
	    MANIFEST(LAYER("..")),
	    MANIFEST(LAYER("../vmlinux")),
	    MANIFEST(LAYER("/etc/x")),
	    MANIFEST(LAYER("a\\nb")),
	    MANIFEST(LAYER("a") "," LAYER("a")),
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct artifact a = {0};

		check(parse(wrong[i], &a) == -EINVAL);
	}
}

TEST(what_is_no_artifact_is_refused)
{
	static const char *const wrong[] = {
	    "",
	    "[]",
	    "{}",
	    "{\"schemaVersion\":1,\"artifactType\":\"x\",\"layers\":[]}",
	    "{\"schemaVersion\":2,\"layers\":[]}",
	    "{\"schemaVersion\":2,\"artifactType\":\"x\"}",
	    "{\"schemaVersion\":2,\"artifactType\":\"x\",\"layers\":[1]}",
	    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
	    "\"artifactType\":\"x\",\"layers\":[]}",
	    "{\"schemaVersion\":2,\"artifactType\":\"x/\\u001b[2J\",\"layers\":[]}",
	    MANIFEST("{\"mediaType\":\"x/y\",\"digest\":\"" D "\",\"size\":2}"),
	    MANIFEST("{\"mediaType\":\"x/y\",\"digest\":\"sha256:1\",\"size\":2,\"annotations\":"
	             "{\"org.opencontainers.image.title\":\"n\"}}"),
	    MANIFEST("{\"mediaType\":\"x/y\",\"digest\":\"" D "\",\"size\":-1,\"annotations\":"
	             "{\"org.opencontainers.image.title\":\"n\"}}"),
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct artifact a = {0};
		int r = parse(wrong[i], &a);

		if (r >= 0)
			fprintf(stderr, "taken: %s\n", wrong[i]);
		check(r < 0);
	}
}

TEST_MAIN()
