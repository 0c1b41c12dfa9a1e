/* SPDX-License-Identifier: Apache-2.0 */
/* registry_config: where an image is looked for, in which order. */
#include "check.h"

#include "lib/base/bytes.h"
#include "lib/base/toml.h"
#include "lib/image/registry_config.h"

static const char config[] = "unqualified-search-registries = ['one.io', 'two.io']\n"
                             "[[registry]]\nprefix = 'h.io/a'\nlocation = 'other.io/z'\n"
                             "[[registry.mirror]]\nlocation = 'mirror.io:5000/m'\ninsecure = true\n"
                             "[[registry.mirror]]\nlocation = 'mirror2.io/k'\n"
                             "[[registry]]\nlocation = 'h.io/a/deep'\ninsecure = true\n"
                             "[[registry]]\nprefix = 'bad.io'\nblocked = true\n";

/* The places, blank-separated, '!' before those without TLS; or the error. */
static void expands(const char *toml, const char *reference, const char *want)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	_cleanup_cjson_ cJSON *table = NULL;
	struct registry_sources sources;
	struct error err = ERROR_INIT;
	char text[REFERENCE_TEXT_MAX];

	if (toml) {
		check_ok(toml_parse(toml, strlen(toml), 1 << 20, "x", &table, &err), &err);
		check_ok(registry_config_check(table, &err), &err);
	}
	if (registry_config_expand(table, reference, &sources, &err)) {
		check_str(err.text, want);
		return;
	}
	for (size_t i = 0; i < sources.n; i++)
		buffer_printf(&b, "%s%s%s", i ? " " : "", sources.v[i].plain_http ? "!" : "",
		              reference_text(&sources.v[i].ref, text));
	check_str(buffer_cstr(&b), want);
}

TEST(places)
{
	expands(NULL, "busybox", "docker.io/library/busybox:latest");
	expands(config, "h.io/other:1", "h.io/other:1");
	expands(config, "h.io/a:1", "!mirror.io:5000/m:1 mirror2.io/k:1 other.io/z:1");
	expands(config, "h.io/a/b:1", "!mirror.io:5000/m/b:1 mirror2.io/k/b:1 other.io/z/b:1");
	expands(config, "h.io/ab:1", "h.io/ab:1");
	expands(config, "h.io/a/deep/x:1", "!h.io/a/deep/x:1");
	expands(config, "bad.io/x",
	        "bad.io/x:latest: the registry configuration blocks \"bad.io\"");
	expands(config, "x:1", "one.io/x:1 two.io/x:1");
}

TEST(wrong_tables)
{
	static const char *const bad[] = {
	    "registry = 7",
	    "registry = [7]",
	    "[[registry]]\ninsecure = true",
	    "[[registry]]\nprefix = 'a'\ninsecure = 'yes'",
	    "[[registry]]\nprefix = 'a'\n[[registry.mirror]]\ninsecure = true",
	    "unqualified-search-registries = 'x'",
	    "unqualified-search-registries = [1]",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_cleanup_cjson_ cJSON *table = NULL;
		struct error err = ERROR_INIT;

		check_ok(toml_parse(bad[i], strlen(bad[i]), 1000, "x", &table, &err), &err);
		check_int(registry_config_check(table, &err), -EINVAL);
		check(err.text[0]);
	}
}

TEST_MAIN()
