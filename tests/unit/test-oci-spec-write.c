/* SPDX-License-Identifier: Apache-2.0 */
/* Specifications written as config.json: compared with the documents that they were read from, by
 * cJSON, member by member. */
#include <fcntl.h>

#include "check.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/oci/runtime_spec.h"

static void read_document(const char *path, struct buffer *text)
{
	struct error err = ERROR_INIT;

	if (!fs_exists(path))
		check_skip("%s is not here: run it from the project's folder", path);
	check_ok(fs_read_file(AT_FDCWD, path, 1 << 20, text, &err), &err);
}

static void rewrite(const struct buffer *in, struct buffer *out)
{
	_cleanup_oci_spec_ struct oci_spec *spec = NULL;
	struct error err = ERROR_INIT;

	check_ok(oci_spec_parse(buffer_cstr(in), in->size, &spec, &err), &err);
	check_ok(oci_spec_format(spec, out, &err), &err);
}

/* Is the value one that is not said at all? */
static bool is_nothing(const cJSON *v)
{
	const cJSON *e;

	if (cJSON_IsNull(v) || cJSON_IsFalse(v) || (cJSON_IsNumber(v) && v->valuedouble == 0))
		return true;
	if (!cJSON_IsArray(v) && !cJSON_IsObject(v))
		return false;
	cJSON_ArrayForEach(e, v) if (!is_nothing(e)) return false;
	return true;
}

/* Everything that `a` says, `b` says as well; `ignored`: members that no specification has. */
static void check_says(const cJSON *a, const cJSON *b, const char *where, const char *ignored)
{
	const cJSON *e;
	char path[512];

	if (cJSON_IsArray(a)) {
		check_int(cJSON_GetArraySize(a), cJSON_GetArraySize(b));
		for (int i = 0; i < cJSON_GetArraySize(a); i++)
			check_says(cJSON_GetArrayItem(a, i), cJSON_GetArrayItem(b, i), where,
			           ignored);
		return;
	}
	if (!cJSON_IsObject(a)) {
		if (!cJSON_Compare(a, b, true))
			check_fail(__FILE__, __LINE__, "%s is different", where);
		return;
	}
	cJSON_ArrayForEach(e, a)
	{
		const cJSON *other = cJSON_GetObjectItemCaseSensitive(b, e->string);

		snprintf(path, sizeof(path), "%s/%s", where, e->string);
		if (!other && (is_nothing(e) || strstr(ignored, path)))
			continue;
		if (!other)
			check_fail(__FILE__, __LINE__, "%s is missing", path);
		check_says(e, other, path, ignored);
	}
}

static void round_trip(const char *path, const char *ignored)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT, once = BUFFER_INIT, twice = BUFFER_INIT;
	_cleanup_cjson_ cJSON *in = NULL, *out = NULL;
	struct error err = ERROR_INIT;

	read_document(path, &text);
	rewrite(&text, &once);
	rewrite(&once, &twice);
	check_str(buffer_cstr(&once), buffer_cstr(&twice));
	check_ok(json_parse(buffer_cstr(&text), text.size, 1 << 20, "in", &in, &err), &err);
	check_ok(json_parse(buffer_cstr(&once), once.size, 1 << 20, "out", &out, &err), &err);
	check_says(in, out, "", ignored);
	check_says(out, in, "", "");
}

TEST(a_sample)
{
	round_trip("tests/data/oci/sample.json", "");
}

TEST(all_there_is)
{
	round_trip("tests/data/oci/full.json", "");
}

TEST(numbers_and_texts_at_their_ends)
{
	static const char text[] =
	    "{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"\\u0001\\\"\\\\/"
	    "\xc3\xa4\"],\"cwd\":\"\",\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":0,"
	    "\"hard\":18446744073709551615}],\"oomScoreAdj\":-1000},\"linux\":{\"resources\":"
	    "{\"devices\":[{\"allow\":false}],\"memory\":{\"limit\":-1,\"disableOOMKiller\":false}}"
	    "}"
	    "}";
	_cleanup_buffer_ struct buffer in = BUFFER_INIT, once = BUFFER_INIT;

	buffer_str(&in, text);
	rewrite(&in, &once);
	check(strstr(buffer_cstr(&once), "\"soft\":0,\"hard\":18446744073709551615"));
	check(strstr(buffer_cstr(&once), "\"oomScoreAdj\":-1000"));
	check(strstr(buffer_cstr(&once), "{\"allow\":false}"));
	check(strstr(buffer_cstr(&once), "\"limit\":-1,\"disableOOMKiller\":false"));
	check(strstr(buffer_cstr(&once), "\"\\u0001\\\"\\\\/\xc3\xa4\""));
	check(!strstr(buffer_cstr(&once), "hooks") && !strstr(buffer_cstr(&once), "consoleSize"));
}

TEST(nothing_at_all)
{
	_cleanup_oci_spec_ struct oci_spec *spec = oci_spec_new();
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;

	check_int(oci_spec_format(spec, &out, NULL), 0);
	check_str(buffer_cstr(&out), "{}");
}

TEST_MAIN()
