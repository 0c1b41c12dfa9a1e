/* SPDX-License-Identifier: Apache-2.0 */
/* reference: what an image's name means, and what is no name. */
#include "check.h"

#include "lib/oci/reference.h"

#define HEX64 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

TEST(good)
{
	static const struct {
		const char *text, *full, *server;
	} cases[] = {
	    {"busybox", "docker.io/library/busybox:latest", "registry-1.docker.io"},
	    {"busybox:1.36", "docker.io/library/busybox:1.36", "registry-1.docker.io"},
	    {"a/b", "docker.io/a/b:latest", "registry-1.docker.io"},
	    {"index.docker.io/x", "docker.io/library/x:latest", "registry-1.docker.io"},
	    {"registry-1.docker.io/x/y", "docker.io/x/y:latest", "registry-1.docker.io"},
	    {"quay.io/x", "quay.io/x:latest", "quay.io"},
	    {"localhost/x:y", "localhost/x:y", "localhost"},
	    {"localhost:5000/x", "localhost:5000/x:latest", "localhost:5000"},
	    {"127.0.0.1:5000/a/b/c:t", "127.0.0.1:5000/a/b/c:t", "127.0.0.1:5000"},
	    {"[::1]:5000/x:y", "[::1]:5000/x:y", "[::1]:5000"},
	    {"HOST/x", "HOST/x:latest", "HOST"},
	    {"h.io/a__b/c.d/e---f", "h.io/a__b/c.d/e---f:latest", "h.io"},
	    {"h.io/x@sha256:" HEX64, "h.io/x@sha256:" HEX64, "h.io"},
	    {"h.io/x:tag@sha256:" HEX64, "h.io/x@sha256:" HEX64, "h.io"},
	    {"localhost:5000", "docker.io/library/localhost:5000", "registry-1.docker.io"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = ERROR_INIT;
		char buf[REFERENCE_TEXT_MAX];
		struct reference ref;

		check_ok(reference_parse(cases[i].text, &ref, &err), &err);
		check_str(reference_text(&ref, buf), cases[i].full);
		check_str(reference_server(&ref), cases[i].server);
	}
}

TEST(bad)
{
	static const char *const texts[] = {
	    "",
	    "/",
	    "a//b",
	    "a/",
	    "-a/b",
	    "Upper",
	    "a/Upper",
	    "a:",
	    "a:.x",
	    "a:-x",
	    "a b",
	    "a@",
	    "a@sha256:12",
	    "h.io/",
	    "h.io/../x",
	    "h.io/a..b",
	    "h.io/_a",
	    "h.io/a_",
	    "h.io/a___b",
	    "h..io/x",
	    ".io/x",
	    "h.io:/x",
	    "h.io:123456/x",
	    "h.io:12a/x",
	    "[::1/x",
	    "[]:1/x",
	    "https://h.io/x",
	    "h.io/x?y",
	    "h.io/x#y",
	    "h.io/x%2e",
	    "user@h.io/x",
	    "h.io/x:a/b:c d",
	    "h.io/x\n",
	    "h.io/x:y\r\nHost: evil",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct error err = ERROR_INIT;
		struct reference ref;

		if (reference_parse(texts[i], &ref, &err) != -EINVAL)
			check_fail(__FILE__, __LINE__, "\"%s\" was taken", texts[i]);
		check(err.text[0]);
	}
}

TEST(long_ones)
{
	struct error err = ERROR_INIT;
	struct reference ref;
	char text[2000];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	check_int(reference_parse(text, &ref, &err), -EINVAL);
	text[300] = '\0';
	check_int(reference_parse(text, &ref, &err), -EINVAL);
	text[200] = ':';
	text[200 + 129] = '\0';
	check_ok(reference_parse(text, &ref, &err), &err);
	check_int(strlen(ref.tag), 99);
}

TEST_MAIN()
