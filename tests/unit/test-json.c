/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/base/json. */
#include "lib/base/json.h"

#include "tests/unit/check.h"

static int parse(const char *text, cJSON **out, struct error *err)
{
	return json_parse(text, strlen(text), 1000, "the text", out, err);
}

TEST(members)
{
	_cleanup_cjson_ cJSON *v = NULL;
	struct error err = ERROR_INIT;
	const char *s = NULL;
	uint64_t n = 0;
	bool b = false;

	check_ok(parse("{\"s\":\"x\",\"n\":9007199254740991,\"b\":true,\"z\":null,\"f\":1.5}\n", &v,
	               &err),
	         &err);
	check_ok(json_string(v, "s", true, &s, "doc", &err), &err);
	check_str(s, "x");
	check_ok(json_u64(v, "n", true, &n, "doc", &err), &err);
	check(n == 9007199254740991);
	check_ok(json_bool(v, "b", true, &b, "doc", &err), &err);
	check_int(json_string(v, "z", false, &s, "doc", &err), 1);
	check_int(json_string(v, "none", true, &s, "doc", &err), -EINVAL);
	check_str(err.text, "doc: \"none\" is missing");
	check_int(json_u64(v, "f", true, &n, "doc", &err), -EINVAL);
	check_int(json_u64(v, "s", true, &n, "doc", &err), -EINVAL);
}

TEST(bad_documents)
{
	struct error err = ERROR_INIT;
	cJSON *v = NULL;

	check_int(parse("", &v, &err), -EINVAL);
	check_int(parse("{}x", &v, &err), -EINVAL);
	check_int(parse("{\n\n\"a\":}", &v, &err), -EINVAL);
	check_str(err.text, "the text is not JSON: error in line 3");
	check_int(json_parse("{}", 2, 1, "it", &v, &err), -EFBIG);
}

TEST(no_text_ends_early)
{
	static const char *const bad[] = {"{\"a\":\"b\\u0000c\"}", "{\"a\\u0000\":1}",
	                                  "[\"\\\\\\u0000\"]"};
	struct error err = ERROR_INIT;
	cJSON *v = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_int(parse(bad[i], &v, &err), -EINVAL);
	check_str(err.text, "the text has a NUL in a string");
	check_int(json_parse("[\"a\0b\"]", 7, 1000, "it", &v, &err), -EINVAL);
	check_ok(parse("[\"\\\\u0000\"]", &v, &err), &err);
	check_str(cJSON_GetArrayItem(v, 0)->valuestring, "\\u0000");
	cJSON_Delete(v);
}

TEST(nesting_is_bounded)
{
	struct error err = ERROR_INIT;
	char deep[200];
	cJSON *v = NULL;

	memset(deep, '[', 100);
	memset(deep + 100, ']', 100);
	check_int(json_parse(deep, 200, 1000, "deep", &v, &err), -ELOOP);
}

TEST_MAIN()
