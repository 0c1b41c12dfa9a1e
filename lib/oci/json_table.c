/* SPDX-License-Identifier: Apache-2.0 */
/* json_table: JSON objects into C structures by tables of their members. */
#include "lib/oci/json_table.h"

#include <errno.h>
#include <string.h>

#define EXACT  9007199254740992.0 /* 2^53: whole numbers beyond are not exact in a double */
#define TWO_63 9223372036854775808.0
#define TWO_64 18446744073709551616.0

struct place {
	struct arena *arena;
	const char *what;
	const struct json_member *member;
	struct error *err;
};

static int wrong(const struct place *p, const char *type)
{
	return error_set_kind(p->err, ERROR_INPUT, EINVAL, "%s: \"%s\" is not %s", p->what,
	                      p->member->name, type);
}

static int no_memory(const struct place *p)
{
	return error_set(p->err, ENOMEM, "%s: no memory for \"%s\"", p->what, p->member->name);
}

/* Beyond 2^53 every double is whole. */
static bool is_whole(double d)
{
	return d >= EXACT || d <= -EXACT || d == (double)(int64_t)d;
}

static int whole_number(const struct place *p, const cJSON *v, double min, double max, double *out)
{
	if (!cJSON_IsNumber(v) || !(v->valuedouble >= min && v->valuedouble <= max) ||
	    !is_whole(v->valuedouble))
		return error_set_kind(p->err, ERROR_INPUT, EINVAL,
		                      "%s: \"%s\" is not a whole number from %.0f to %.0f", p->what,
		                      p->member->name, min, max);
	*out = v->valuedouble;
	return 0;
}

static int read_u32(const struct place *p, const cJSON *v, uint32_t *out)
{
	double d = 0;
	int r = whole_number(p, v, 0, UINT32_MAX, &d);

	if (r == 0)
		*out = (uint32_t)d;
	return r;
}

static int read_i32(const struct place *p, const cJSON *v, int32_t *out)
{
	double d = 0;
	int r = whole_number(p, v, INT32_MIN, INT32_MAX, &d);

	if (r == 0)
		*out = (int32_t)d;
	return r;
}

/* The largest values mean "no limit" and arrive as the next power of two. */
static int read_u64(const struct place *p, const cJSON *v, bool exact, uint64_t *out)
{
	double d = 0;
	int r = whole_number(p, v, 0, TWO_64, &d);

	if (r < 0)
		return r;
	if (exact && d > EXACT && d < TWO_64)
		return wrong(p, "a number below 2^53, or 2^64-1: it cannot be read exactly");
	*out = d >= TWO_64 ? UINT64_MAX : (uint64_t)d;
	return 0;
}

static int read_i64(const struct place *p, const cJSON *v, int64_t *out)
{
	double d = 0;
	int r = whole_number(p, v, -TWO_63, TWO_63, &d);

	if (r == 0)
		*out = d >= TWO_63 ? INT64_MAX : (int64_t)d;
	return r;
}

static int read_bool(const struct place *p, const cJSON *v, bool *out)
{
	if (!cJSON_IsBool(v))
		return wrong(p, "true or false");
	*out = cJSON_IsTrue(v);
	return 0;
}

static int read_strings(const struct place *p, const cJSON *v, struct oci_strings *out)
{
	size_t n = 0;
	const cJSON *e;

	if (!cJSON_IsArray(v))
		return wrong(p, "a list");
	cJSON_ArrayForEach(e, v)
	{
		if (!cJSON_IsString(e))
			return wrong(p, "a list of strings");
		n++;
	}
	out->v = arena_new_array(p->arena, n + 1, char *);
	if (!out->v)
		return no_memory(p);
	cJSON_ArrayForEach(e, v)
	{
		out->v[out->n] = arena_strdup(p->arena, e->valuestring);
		if (!out->v[out->n++])
			return no_memory(p);
	}
	return 0;
}

static int read_pairs(const struct place *p, const cJSON *v, struct oci_map *out)
{
	size_t n = 0;
	const cJSON *e;

	if (!cJSON_IsObject(v))
		return wrong(p, "an object");
	cJSON_ArrayForEach(e, v)
	{
		if (!cJSON_IsString(e))
			return wrong(p, "an object whose values are strings");
		n++;
	}
	out->v = arena_new_array(p->arena, n, struct oci_pair);
	if (!out->v)
		return no_memory(p);
	cJSON_ArrayForEach(e, v)
	{
		struct oci_pair *pair = &out->v[out->n++];

		pair->key = arena_strdup(p->arena, e->string);
		pair->value = arena_strdup(p->arena, e->valuestring);
		if (!pair->key || !pair->value)
			return no_memory(p);
	}
	return 0;
}

static int read_pointer(const struct place *p, const cJSON *v, void **out)
{
	if (!cJSON_IsObject(v))
		return wrong(p, "an object");
	*out = arena_alloc(p->arena, p->member->sub_size);
	if (!*out)
		return no_memory(p);
	return json_table_read(p->arena, v, p->member->sub, *out, p->member->name, p->err);
}

static int read_array(const struct place *p, const cJSON *v, size_t *n_out, void **out)
{
	bool keyed = p->member->kind == JSON_KEYED_ARRAY;
	size_t n = 0;
	const cJSON *e;
	uint8_t *base;

	if (keyed ? !cJSON_IsObject(v) : !cJSON_IsArray(v))
		return wrong(p, keyed ? "an object" : "a list");
	cJSON_ArrayForEach(e, v)
	{
		if (!cJSON_IsObject(e))
			return wrong(p, keyed ? "an object of objects" : "a list of objects");
		n++;
	}
	base = arena_array(p->arena, n, p->member->sub_size);
	if (!base)
		return no_memory(p);
	*out = base;
	cJSON_ArrayForEach(e, v)
	{
		int r;

		if (keyed) {
			const char *key = arena_strdup(p->arena, e->string);

			if (!key)
				return no_memory(p);
			memcpy(base, &key, sizeof(key));
		}
		r = json_table_read(p->arena, e, p->member->sub, base, p->member->name, p->err);
		if (r < 0)
			return r;
		base += p->member->sub_size;
		(*n_out)++;
	}
	return 0;
}

static int read_u32_array(const struct place *p, const cJSON *v, size_t *n_out, uint32_t **out)
{
	const cJSON *e;
	int r;

	if (!cJSON_IsArray(v))
		return wrong(p, "a list");
	*out = arena_new_array(p->arena, (size_t)cJSON_GetArraySize(v), uint32_t);
	if (!*out)
		return no_memory(p);
	cJSON_ArrayForEach(e, v)
	{
		r = read_u32(p, e, &(*out)[*n_out]);
		if (r < 0)
			return r;
		(*n_out)++;
	}
	return 0;
}

static int read_member(const struct place *p, const cJSON *v, uint8_t *base)
{
	void *at = base + p->member->offset;

	switch (p->member->kind) {
	case JSON_STRING:
		if (!cJSON_IsString(v))
			return wrong(p, "a string");
		*(const char **)at = arena_strdup(p->arena, v->valuestring);
		return *(const char **)at ? 0 : no_memory(p);
	case JSON_BOOL:
		return read_bool(p, v, at);
	case JSON_U32:
		return read_u32(p, v, at);
	case JSON_I32:
		return read_i32(p, v, at);
	case JSON_U64:
	case JSON_U64_EXACT:
		return read_u64(p, v, p->member->kind == JSON_U64_EXACT, at);
	case JSON_I64:
		return read_i64(p, v, at);
	case JSON_OPT_U32:
		((struct oci_u32 *)at)->set = true;
		return read_u32(p, v, &((struct oci_u32 *)at)->value);
	case JSON_OPT_U64:
		((struct oci_u64 *)at)->set = true;
		return read_u64(p, v, false, &((struct oci_u64 *)at)->value);
	case JSON_OPT_I64:
		((struct oci_i64 *)at)->set = true;
		return read_i64(p, v, &((struct oci_i64 *)at)->value);
	case JSON_OPT_FLAG:
		((struct oci_flag *)at)->set = true;
		return read_bool(p, v, &((struct oci_flag *)at)->value);
	case JSON_STRINGS:
		return read_strings(p, v, at);
	case JSON_PAIRS:
		return read_pairs(p, v, at);
	case JSON_INLINE:
		if (!cJSON_IsObject(v))
			return wrong(p, "an object");
		return json_table_read(p->arena, v, p->member->sub, at, p->member->name, p->err);
	case JSON_POINTER:
		return read_pointer(p, v, at);
	case JSON_ARRAY:
	case JSON_KEYED_ARRAY:
		return read_array(p, v, (size_t *)(void *)(base + p->member->offset_n), at);
	case JSON_U32_ARRAY:
		return read_u32_array(p, v, (size_t *)(void *)(base + p->member->offset_n), at);
	}
	return wrong(p, "of a known kind");
}

/* One walk over the object's members; cJSON lists are linked, so looking each name up
 * would walk the list once a name. A name that comes twice: the first counts. */
int json_table_read(struct arena *a, const cJSON *obj, const struct json_member *table, void *base,
                    const char *what, struct error *err)
{
	uint32_t seen = 0;
	const cJSON *v;

	cJSON_ArrayForEach(v, obj)
	{
		for (size_t i = 0; table[i].name; i++) {
			struct place p = {a, what, &table[i], err};
			int r;

			if (strcmp(table[i].name, v->string) != 0)
				continue;
			if (cJSON_IsNull(v) || seen & 1u << i)
				break;
			seen |= 1u << i;
			r = read_member(&p, v, base);
			if (r < 0)
				return r;
			break;
		}
	}
	for (size_t i = 0; table[i].name; i++)
		if (table[i].required && !(seen & 1u << i))
			return error_set_kind(err, ERROR_INPUT, EINVAL, "%s: \"%s\" is missing",
			                      what, table[i].name);
	return 0;
}
