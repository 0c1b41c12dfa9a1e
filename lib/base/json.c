/* SPDX-License-Identifier: Apache-2.0 */
/* json: bounded parsing with cJSON, typed members with errors that name them. */
#include "json.h"

#include <errno.h>
#include <string.h>

/* cJSON recurses on nesting: look at the depth first. */
static bool too_deep(const char *text, size_t size)
{
	bool in_string = false;
	int depth = 0;

	for (size_t i = 0; i < size; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		if (c == '"')
			in_string = true;
		else if ((c == '[' || c == '{') && ++depth > JSON_MAX_DEPTH)
			return true;
		else if (c == ']' || c == '}')
			depth--;
	}
	return false;
}

/* cJSON ends strings at a NUL: what is behind one would be seen by others alone. */
static bool has_nul(const char *text, size_t size)
{
	static const char nul[] = "\\u0000";
	const char *p = text, *end = text + size;

	if (!size || memchr(text, 0, size))
		return size;
	while ((p = memmem(p, (size_t)(end - p), nul, strlen(nul)))) {
		size_t before = 0;

		while (p - before > text && p[-1 - (ptrdiff_t)before] == '\\')
			before++;
		/* After an odd number of backslashes this one is what they escape. */
		if (before % 2 == 0)
			return true;
		p += strlen(nul);
	}
	return false;
}

static size_t line_of(const char *text, const char *at)
{
	size_t line = 1;

	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

int json_parse(const char *text, size_t size, size_t max, const char *what, cJSON **out,
               struct error *err)
{
	const char *end = NULL;
	cJSON *v;

	if (size > max)
		return error_set_kind(err, ERROR_INPUT, EFBIG, "%s is larger than %zu bytes", what,
		                      max);
	if (too_deep(text, size))
		return error_set_kind(err, ERROR_INPUT, ELOOP, "%s is nested deeper than %d", what,
		                      JSON_MAX_DEPTH);
	if (has_nul(text, size))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s has a NUL in a string", what);
	v = cJSON_ParseWithLengthOpts(text, size, &end, 0);
	if (!v)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is not JSON: error in line %zu",
		                      what, end ? line_of(text, end) : 1);
	while (end < text + size && memchr(" \t\r\n", *end, 4))
		end++;
	if (end != text + size) {
		cJSON_Delete(v);
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s has text behind its end in line %zu", what,
		                      line_of(text, end));
	}
	*out = v;
	return 0;
}

/* 0 found, 1 absent, negative error. */
static int member(const cJSON *obj, const char *key, bool required, const char *what,
                  const cJSON **out, struct error *err)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(obj, key);

	if (v && !cJSON_IsNull(v)) {
		*out = v;
		return 0;
	}
	if (required)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s: \"%s\" is missing", what, key);
	return 1;
}

static int wrong(const char *what, const char *key, const char *type, struct error *err)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "%s: \"%s\" is not %s", what, key, type);
}

int json_string(const cJSON *obj, const char *key, bool required, const char **out,
                const char *what, struct error *err)
{
	const cJSON *v = NULL;
	int r = member(obj, key, required, what, &v, err);

	if (r != 0)
		return r;
	if (!cJSON_IsString(v))
		return wrong(what, key, "a string", err);
	*out = v->valuestring;
	return 0;
}

int json_string_copy(const cJSON *obj, const char *key, bool required, char *out, size_t room,
                     const char *what, struct error *err)
{
	const char *s = "";
	int r = json_string(obj, key, required, &s, what, err);

	if (r < 0)
		return r;
	if (strlen(s) >= room)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s: \"%s\" is too long", what,
		                      key);
	memcpy(out, s, strlen(s) + 1);
	return r;
}

int json_u64(const cJSON *obj, const char *key, bool required, uint64_t *out, const char *what,
             struct error *err)
{
	const cJSON *v = NULL;
	int r = member(obj, key, required, what, &v, err);

	if (r != 0)
		return r;
	/* Doubles hold whole numbers exactly up to 2^53. */
	if (!cJSON_IsNumber(v) || v->valuedouble < 0 || v->valuedouble > 9007199254740992.0 ||
	    v->valuedouble != (double)(uint64_t)v->valuedouble)
		return wrong(what, key, "a whole number from 0 to 2^53", err);
	*out = (uint64_t)v->valuedouble;
	return 0;
}

int json_bool(const cJSON *obj, const char *key, bool required, bool *out, const char *what,
              struct error *err)
{
	const cJSON *v = NULL;
	int r = member(obj, key, required, what, &v, err);

	if (r != 0)
		return r;
	if (!cJSON_IsBool(v))
		return wrong(what, key, "true or false", err);
	*out = cJSON_IsTrue(v);
	return 0;
}

int json_object(const cJSON *obj, const char *key, bool required, const cJSON **out,
                const char *what, struct error *err)
{
	const cJSON *v = NULL;
	int r = member(obj, key, required, what, &v, err);

	if (r != 0)
		return r;
	if (!cJSON_IsObject(v))
		return wrong(what, key, "an object", err);
	*out = v;
	return 0;
}

int json_array(const cJSON *obj, const char *key, bool required, const cJSON **out,
               const char *what, struct error *err)
{
	const cJSON *v = NULL;
	int r = member(obj, key, required, what, &v, err);

	if (r != 0)
		return r;
	if (!cJSON_IsArray(v))
		return wrong(what, key, "an array", err);
	*out = v;
	return 0;
}
