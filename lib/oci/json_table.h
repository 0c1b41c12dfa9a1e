/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_table: JSON objects into C structures by tables of their members, and back.
 *
 * A table says for each member its name, how it is read and where it goes; all
 * memory comes from one arena. The reader follows the tables, never the input:
 * its depth is that of the tables. Unknown members are ignored.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/oci/runtime_spec.h"

enum json_kind {
	JSON_STRING,      /* const char * */
	JSON_BOOL,        /* bool */
	JSON_U32,         /* uint32_t */
	JSON_I32,         /* int32_t */
	JSON_U64,         /* uint64_t, see JSON_EXACT */
	JSON_U64_EXACT,   /* uint64_t; a number that a double cannot hold exactly is an error */
	JSON_I64,         /* int64_t */
	JSON_OPT_U32,     /* struct oci_u32 */
	JSON_OPT_U64,     /* struct oci_u64 */
	JSON_OPT_I64,     /* struct oci_i64 */
	JSON_OPT_FLAG,    /* struct oci_flag */
	JSON_STRINGS,     /* struct oci_strings */
	JSON_PAIRS,       /* struct oci_map: an object of strings */
	JSON_INLINE,      /* a structure in place */
	JSON_POINTER,     /* a pointer to a structure, NULL when absent */
	JSON_ARRAY,       /* size_t at offset_n, pointer to structures at offset */
	JSON_KEYED_ARRAY, /* the same from an object: the key goes to the first member,
	                     a const char * */
	JSON_U32_ARRAY,   /* size_t at offset_n, uint32_t * at offset */
};

struct json_member {
	const char *name; /* NULL ends a table */
	enum json_kind kind;
	bool required;
	size_t offset;
	size_t offset_n;
	const struct json_member *sub;
	size_t sub_size;
};

#define MEMBER(type, json, json_kind, member)                                                      \
	{                                                                                          \
		json, json_kind, false, offsetof(type, member)                                     \
	}
#define MEMBER_REQUIRED(type, json, json_kind, member)                                             \
	{                                                                                          \
		json, json_kind, true, offsetof(type, member)                                      \
	}
#define MEMBER_INLINE(type, json, member, table)                                                   \
	{                                                                                          \
		json, JSON_INLINE, false, offsetof(type, member), 0, table                         \
	}
#define MEMBER_POINTER(type, json, member, table, sub_type)                                        \
	{                                                                                          \
		json, JSON_POINTER, false, offsetof(type, member), 0, table, sizeof(sub_type)      \
	}
#define MEMBER_ARRAY(type, json, n, member, table, sub_type)                                       \
	{                                                                                          \
		json, JSON_ARRAY, false, offsetof(type, member), offsetof(type, n), table,         \
		    sizeof(sub_type)                                                               \
	}
#define MEMBER_KEYED(type, json, n, member, table, sub_type)                                       \
	{                                                                                          \
		json, JSON_KEYED_ARRAY, false, offsetof(type, member), offsetof(type, n), table,   \
		    sizeof(sub_type)                                                               \
	}

/* Fills `base` (zeroed) from obj. `what` names the object in errors. 0 or a negative
 * errno: -EINVAL for a wrong type or a missing member, -ENOMEM. */
int json_table_read(struct arena *a, const cJSON *obj, const struct json_member *table, void *base,
                    const char *what, struct error *err);

/* Appends the object that reads as `base`. What is zero, NULL or empty and need not be there is
 * left out. False: that was all of it, "{}". A full memory shows in out->failed. */
bool json_table_write(struct buffer *out, const struct json_member *table, const void *base);
