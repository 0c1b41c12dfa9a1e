/* SPDX-License-Identifier: Apache-2.0 */
/* json_table_write: the way back, by the same tables. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/oci/json_table.h"

static void write_strings(struct buffer *out, const struct oci_strings *s)
{
	buffer_str(out, "[");
	for (size_t i = 0; i < s->n; i++) {
		buffer_str(out, i ? "," : "");
		buffer_json_string(out, s->v[i]);
	}
	buffer_str(out, "]");
}

static void write_pairs(struct buffer *out, const struct oci_map *m)
{
	buffer_str(out, "{");
	for (size_t i = 0; i < m->n; i++) {
		buffer_str(out, i ? "," : "");
		buffer_json_string(out, m->v[i].key);
		buffer_str(out, ":");
		buffer_json_string(out, m->v[i].value);
	}
	buffer_str(out, "}");
}

static void write_array(struct buffer *out, const struct json_member *m, size_t n,
                        const uint8_t *base)
{
	bool keyed = m->kind == JSON_KEYED_ARRAY;

	buffer_str(out, keyed ? "{" : "[");
	for (size_t i = 0; i < n; i++, base += m->sub_size) {
		buffer_str(out, i ? "," : "");
		if (keyed) {
			buffer_json_string(out, *(const char *const *)(const void *)base);
			buffer_str(out, ":");
		}
		json_table_write(out, m->sub, base);
	}
	buffer_str(out, keyed ? "}" : "]");
}

static void write_u32_array(struct buffer *out, size_t n, const uint32_t *v)
{
	buffer_str(out, "[");
	for (size_t i = 0; i < n; i++)
		buffer_printf(out, "%s%" PRIu32, i ? "," : "", v[i]);
	buffer_str(out, "]");
}

/* The number that a member has, if it has one: what is zero was not said, unless it must be. */
static bool number_of(const struct json_member *m, const void *at, char text[32])
{
	const struct oci_u32 *u32 = at;
	const struct oci_u64 *u64 = at;
	const struct oci_i64 *i64 = at;
	uint64_t u = 0;
	int64_t i = 0;
	bool set = m->required;

	switch (m->kind) {
	case JSON_U32:
		u = *(const uint32_t *)at;
		break;
	case JSON_I32:
		i = *(const int32_t *)at;
		break;
	case JSON_U64:
	case JSON_U64_EXACT:
		u = *(const uint64_t *)at;
		break;
	case JSON_I64:
		i = *(const int64_t *)at;
		break;
	case JSON_OPT_U32:
		set = u32->set;
		u = u32->value;
		break;
	case JSON_OPT_U64:
		set = u64->set;
		u = u64->value;
		break;
	default:
		set = i64->set;
		i = i64->value;
	}
	if (i)
		snprintf(text, 32, "%" PRId64, i);
	else
		snprintf(text, 32, "%" PRIu64, u);
	return set || i || u;
}

/* Strings and what holds several values. False: there is nothing to say. */
static bool write_rest(struct buffer *out, const struct json_member *m, const uint8_t *base)
{
	const void *at = base + m->offset, *sub;
	size_t n;

	switch (m->kind) {
	case JSON_STRING:
		if (*(const char *const *)at)
			buffer_json_string(out, *(const char *const *)at);
		return *(const char *const *)at;
	case JSON_STRINGS:
		write_strings(out, at);
		return ((const struct oci_strings *)at)->n > 0;
	case JSON_PAIRS:
		write_pairs(out, at);
		return ((const struct oci_map *)at)->n > 0;
	case JSON_INLINE:
		return json_table_write(out, m->sub, at);
	case JSON_POINTER:
		sub = *(const void *const *)at;
		if (sub)
			json_table_write(out, m->sub, sub);
		return sub;
	default:
		n = *(const size_t *)(const void *)(base + m->offset_n);
		if (m->kind == JSON_U32_ARRAY)
			write_u32_array(out, n, *(const uint32_t *const *)at);
		else
			write_array(out, m, n, *(const uint8_t *const *)at);
		return n > 0;
	}
}

static bool write_value(struct buffer *out, const struct json_member *m, const uint8_t *base)
{
	const void *at = base + m->offset;
	const struct oci_flag *flag = at;
	char text[32];
	bool there;

	switch (m->kind) {
	case JSON_BOOL:
		buffer_str(out, *(const bool *)at ? "true" : "false");
		return *(const bool *)at || m->required;
	case JSON_OPT_FLAG:
		buffer_str(out, flag->value ? "true" : "false");
		return flag->set;
	case JSON_U32:
	case JSON_I32:
	case JSON_U64:
	case JSON_U64_EXACT:
	case JSON_I64:
	case JSON_OPT_U32:
	case JSON_OPT_U64:
	case JSON_OPT_I64:
		there = number_of(m, at, text);
		buffer_str(out, text);
		return there;
	default:
		return write_rest(out, m, base);
	}
}

bool json_table_write(struct buffer *out, const struct json_member *table, const void *base)
{
	bool any = false;

	buffer_str(out, "{");
	for (size_t i = 0; table[i].name && !out->failed; i++) {
		size_t before = out->size;

		buffer_printf(out, "%s\"%s\":", any ? "," : "", table[i].name);
		if (write_value(out, &table[i], base))
			any = true;
		else if (!out->failed)
			out->size = before;
	}
	buffer_str(out, "}");
	return any;
}
