/* SPDX-License-Identifier: Apache-2.0 */
/* policy_match: paths through messages by their descriptors. */
#include "guest/agent/policy_match.h"

#include <errno.h>
#include <string.h>

#include "lib/base/str.h"

#define SEGMENT_MAX 255u

/* What a path led to. */
struct value {
	const ProtobufCFieldDescriptor *field;
	const void *at; /* one element, or the array of a repeated field taken whole */
	size_t n;       /* elements, when whole */
	bool whole;
	bool absent;
};

static size_t element_size(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	default:
		return 4; /* 32-bit numbers, enumerations, protobuf_c_boolean */
	}
}

static bool is_map(const ProtobufCFieldDescriptor *f)
{
	const ProtobufCMessageDescriptor *d = f->descriptor;

	return f->label == PROTOBUF_C_LABEL_REPEATED && f->type == PROTOBUF_C_TYPE_MESSAGE &&
	       d->n_fields == 2 && str_ends(d->short_name, "Entry") &&
	       strcmp(d->fields[0].name, "key") == 0 && strcmp(d->fields[1].name, "value") == 0;
}

/* Copies the segment up to '/', returns what follows it (NULL at the end). "~1" and "~0" stand for
 * '/' and '~', as in RFC 6901. */
static const char *next_segment(const char *path, char *out, size_t size)
{
	size_t n = 0;

	while (*path && *path != '/') {
		char c = *path++;

		if (c == '~' && (*path == '0' || *path == '1'))
			c = *path++ == '1' ? '/' : '~';
		if (n + 1 < size) /* a longer one was refused (policy_match_check()) */
			out[n++] = c;
	}
	out[n] = '\0';
	return *path ? path + 1 : NULL;
}

/* ---- comparing */

static bool number_of(const struct value *v, double *out)
{
	const void *at = v->at;

	switch (v->field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		*out = *(const int32_t *)at;
		return true;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		*out = *(const uint32_t *)at;
		return true;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		*out = (double)*(const int64_t *)at;
		return true;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		*out = (double)*(const uint64_t *)at;
		return true;
	default:
		return false;
	}
}

static const char *string_of(const struct value *v)
{
	return v->field->type == PROTOBUF_C_TYPE_STRING ? *(char *const *)v->at : NULL;
}

static bool equals_bytes(const struct value *v, const char *want)
{
	const ProtobufCBinaryData *b = v->at;

	return b->len == strlen(want) && (b->len == 0 || memcmp(b->data, want, b->len) == 0);
}

static bool equals(const struct value *v, const cJSON *want)
{
	double number;

	if (v->whole || v->field->type == PROTOBUF_C_TYPE_MESSAGE)
		return false;
	if (v->field->type == PROTOBUF_C_TYPE_BOOL)
		return cJSON_IsBool(want) &&
		       !*(const protobuf_c_boolean *)v->at == !cJSON_IsTrue(want);
	if (cJSON_IsString(want) && v->field->type == PROTOBUF_C_TYPE_BYTES)
		return equals_bytes(v, want->valuestring);
	if (cJSON_IsString(want))
		return string_of(v) && strcmp(string_of(v), want->valuestring) == 0;
	return cJSON_IsNumber(want) && number_of(v, &number) && number == want->valuedouble;
}

static struct value element(const struct value *list, size_t i)
{
	return (struct value){
	    .field = list->field,
	    .at = (const char *)list->at + i * element_size(list->field),
	};
}

static bool equals_list(const struct value *v, const cJSON *want)
{
	const cJSON *item;
	size_t i = 0;

	if (!v->whole || v->n != (size_t)cJSON_GetArraySize(want))
		return false;
	cJSON_ArrayForEach(item, want)
	{
		struct value e = element(v, i++);

		if (!equals(&e, item))
			return false;
	}
	return true;
}

static bool is_absent(const struct value *v)
{
	double number;

	if (v->absent)
		return true;
	if (v->whole)
		return v->n == 0;
	switch (v->field->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		return !*(ProtobufCMessage *const *)v->at;
	case PROTOBUF_C_TYPE_STRING:
		return str_empty(string_of(v));
	case PROTOBUF_C_TYPE_BYTES:
		return ((const ProtobufCBinaryData *)v->at)->len == 0;
	case PROTOBUF_C_TYPE_BOOL:
		return !*(const protobuf_c_boolean *)v->at;
	default:
		return number_of(v, &number) && number == 0;
	}
}

static bool at_most(const struct value *v, double max)
{
	double number = (double)v->n;

	return (v->whole || number_of(v, &number)) && number <= max;
}

static bool one_of(const struct value *v, const cJSON *list)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		if (cJSON_IsArray(item) ? equals_list(v, item) : equals(v, item))
			return true;
	}
	return false;
}

/* What begins like a path must not leave it again. */
static bool has_prefix(const char *s, const char *prefix)
{
	if (!s || !str_starts(s, prefix))
		return false;
	return *prefix != '/' || (!strstr(s, "/../") && !str_ends(s, "/.."));
}

static bool matches(const struct value *v, const cJSON *want)
{
	const char *key = cJSON_IsObject(want) ? want->child->string : "";
	const cJSON *arg = cJSON_IsObject(want) ? want->child : NULL;

	if (strcmp(key, "any") == 0)
		return true;
	if (strcmp(key, "absent") == 0)
		return is_absent(v);
	if (v->absent)
		return false;
	if (!arg)
		return cJSON_IsArray(want) ? equals_list(v, want) : equals(v, want);
	if (strcmp(key, "one_of") == 0)
		return one_of(v, arg);
	if (strcmp(key, "max") == 0)
		return at_most(v, arg->valuedouble);
	return !v->whole && has_prefix(string_of(v), arg->valuestring);
}

/* ---- walking */

/* Where the walk goes on, for each element of a list it has to. The recursion is by segments of
 * the policy's path, which policy_match_check() bounded. */
static bool walk(const ProtobufCMessage *m, const char *path, const cJSON *want);

static bool walk_element(const struct value *v, const char *rest, const cJSON *want)
{
	if (!rest)
		return matches(v, want);
	if (v->field->type != PROTOBUF_C_TYPE_MESSAGE)
		return false;
	return walk(*(ProtobufCMessage *const *)v->at, rest, want);
}

static bool walk_absent(const ProtobufCFieldDescriptor *f, const cJSON *want)
{
	const struct value nothing = {.field = f, .absent = true};

	return matches(&nothing, want);
}

/* The entry with that key; its value is field 2. */
static bool walk_map(const struct value *map, const char *key, const char *rest, const cJSON *want)
{
	const ProtobufCMessageDescriptor *entry = map->field->descriptor;

	for (size_t i = map->n; i-- > 0;) { /* the last one counts */
		const ProtobufCMessage *e = ((ProtobufCMessage *const *)map->at)[i];
		const char *k = *(char *const *)((const char *)e + entry->fields[0].offset);
		const struct value v = {
		    .field = &entry->fields[1],
		    .at = (const char *)e + entry->fields[1].offset,
		};

		if (k && strcmp(k, key) == 0)
			return walk_element(&v, rest, want);
	}
	return walk_absent(&entry->fields[1], want);
}

static bool walk_list(const struct value *list, const char *path, const cJSON *want)
{
	char segment[SEGMENT_MAX + 1];
	const char *rest = next_segment(path, segment, sizeof(segment));
	uint64_t index;

	if (is_map(list->field))
		return walk_map(list, segment, rest, want);
	if (strcmp(segment, "*") == 0) {
		for (size_t i = 0; i < list->n; i++) {
			struct value e = element(list, i);

			if (!walk_element(&e, rest, want))
				return false;
		}
		return true;
	}
	if (parse_u64(segment, &index) < 0 || index >= list->n)
		return walk_absent(list->field, want);
	struct value e = element(list, (size_t)index);

	return walk_element(&e, rest, want);
}

static bool walk(const ProtobufCMessage *m, const char *path, const cJSON *want)
{
	char segment[SEGMENT_MAX + 1];
	const char *rest = next_segment(path, segment, sizeof(segment));
	const ProtobufCFieldDescriptor *f;
	struct value v;

	if (!m) { /* a message that is not there has no fields */
		v = (struct value){.absent = true};
		return matches(&v, want);
	}
	f = protobuf_c_message_descriptor_get_field_by_name(m->descriptor, segment);
	if (!f)
		return false;
	v = (struct value){.field = f, .at = (const char *)m + f->offset};
	if (f->label != PROTOBUF_C_LABEL_REPEATED)
		return walk_element(&v, rest, want);
	v.n = *(const size_t *)((const char *)m + f->quantifier_offset);
	v.at = *(const void *const *)v.at;
	v.whole = true;
	return rest ? walk_list(&v, rest, want) : matches(&v, want);
}

bool policy_match(const ProtobufCMessage *m, const char *path, const cJSON *want)
{
	return walk(m, path, want);
}

/* ---- checking a policy before it is used */

/* cJSON has numbers as doubles: beyond 2^53 two would be one. */
#define MAX_NUMBER 9007199254740992.0

static bool is_scalar(const cJSON *v)
{
	return cJSON_IsString(v) || cJSON_IsBool(v) ||
	       (cJSON_IsNumber(v) && v->valuedouble < MAX_NUMBER && v->valuedouble > -MAX_NUMBER);
}

static bool is_list(const cJSON *v)
{
	const cJSON *item;

	if (!cJSON_IsArray(v))
		return false;
	cJSON_ArrayForEach(item, v)
	{
		if (!is_scalar(item))
			return false;
	}
	return true;
}

static bool is_choice(const cJSON *v)
{
	const cJSON *item;

	if (!cJSON_IsArray(v))
		return false;
	cJSON_ArrayForEach(item, v)
	{
		if (!is_scalar(item) && !is_list(item))
			return false;
	}
	return true;
}

static int check_want(const char *path, const cJSON *want, struct error *err)
{
	const cJSON *arg = cJSON_IsObject(want) ? want->child : NULL;
	bool ok = is_scalar(want) || is_list(want);

	if (arg && !arg->next)
		ok = (strcmp(arg->string, "one_of") == 0 && is_choice(arg)) ||
		     (strcmp(arg->string, "prefix") == 0 && cJSON_IsString(arg)) ||
		     (strcmp(arg->string, "max") == 0 && cJSON_IsNumber(arg) && is_scalar(arg)) ||
		     (strcmp(arg->string, "absent") == 0 && cJSON_IsTrue(arg)) ||
		     (strcmp(arg->string, "any") == 0 && cJSON_IsTrue(arg));
	if (ok)
		return 0;
	return error_set_kind(
	    err, ERROR_INPUT, EINVAL,
	    "policy: %s: expected a value, a list of values, or one of one_of, prefix, max, "
	    "absent, any; numbers of at most 2^53",
	    path);
}

static bool segments_fit(const char *path)
{
	while (strcspn(path, "/") <= SEGMENT_MAX) {
		path += strcspn(path, "/");
		if (!*path++)
			return true;
	}
	return false;
}

/* What may follow a repeated field; the type of what it leads to, NULL for a scalar. */
static bool check_key(const ProtobufCFieldDescriptor *f, const char *key,
                      const ProtobufCMessageDescriptor **type)
{
	uint64_t index;

	if (!is_map(f))
		return strcmp(key, "*") == 0 || parse_u64(key, &index) == 0;
	f = &(*type)->fields[1];
	*type = f->type == PROTOBUF_C_TYPE_MESSAGE ? f->descriptor : NULL;
	return true;
}

int policy_match_check(const ProtobufCMessageDescriptor *type, const char *path, const cJSON *want,
                       struct error *err)
{
	const char *rest = segments_fit(path) ? path : "";
	unsigned int depth = 0;

	while (rest) {
		char segment[SEGMENT_MAX + 1];
		const ProtobufCFieldDescriptor *f = NULL;
		bool ok;

		rest = next_segment(rest, segment, sizeof(segment));
		if (type)
			f = protobuf_c_message_descriptor_get_field_by_name(type, segment);
		ok = f && ++depth <= POLICY_MAX_DEPTH;
		if (ok)
			type = f->type == PROTOBUF_C_TYPE_MESSAGE ? f->descriptor : NULL;
		if (ok && f->label == PROTOBUF_C_LABEL_REPEATED && rest) {
			rest = next_segment(rest, segment, sizeof(segment));
			ok = check_key(f, segment, &type);
		}
		if (!ok)
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "policy: there is no field \"%.200s\"", path);
	}
	return check_want(path, want, err);
}
