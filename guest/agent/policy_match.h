/* SPDX-License-Identifier: Apache-2.0 */
/* policy_match: one field of a message, named by a path, against what a policy wants of it. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/base/json.h"

#define POLICY_MAX_DEPTH 16u /* segments of a path */

/* A path is field names separated by '/'. After a repeated field comes a number (that element),
 * '*' (all elements) or nothing (the list as a whole); after a map, a key, in which "~1" stands for
 * '/' and "~0" for '~'. What is wanted:
 *	a string, number or boolean	the field is equal to it
 *	a list				a repeated field has exactly these elements
 *	{"one_of": [...]}		equal to one of them
 *	{"prefix": "..."}		a string that begins so; where that is a path, one without
 *".."
 *	{"max": N}			a number, or a count of elements, of at most N
 *	{"absent": true}		not set, empty
 *	{"any": true}			whatever it is
 */
bool policy_match(const ProtobufCMessage *m, const char *path, const cJSON *want);

/* Can the path lead anywhere in this type, and is `want` one of the above? -EINVAL. */
int policy_match_check(const ProtobufCMessageDescriptor *type, const char *path, const cJSON *want,
                       struct error *err);
