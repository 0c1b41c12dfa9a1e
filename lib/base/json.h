/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: bounded parsing with cJSON and typed access with errors that name the path.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"
#include "error.h"

#define JSON_MAX_DEPTH 64

/* Parses exactly one value, at most `max` bytes, nested at most JSON_MAX_DEPTH, without NULs.
 * `what` names the document in errors ("image.json", "the manifest"). */
int json_parse(const char *text, size_t size, size_t max, const char *what, cJSON **out,
               struct error *err);
DEFINE_CLEANUP(cJSON, cjson, cJSON_Delete)
#define _cleanup_cjson_ _cleanup_(cleanup_cjson)

/* Members, case-sensitive. 0 found, 1 absent or null (out untouched), negative: of the
 * wrong type. With `required` absence is an error too. */
int json_string(const cJSON *obj, const char *key, bool required, const char **out,
                const char *what, struct error *err);
/* A string into `room` bytes, its NUL included; "" when it is absent. -EINVAL: it is too long. */
int json_string_copy(const cJSON *obj, const char *key, bool required, char *out, size_t room,
                     const char *what, struct error *err);
int json_u64(const cJSON *obj, const char *key, bool required, uint64_t *out, const char *what,
             struct error *err);
int json_bool(const cJSON *obj, const char *key, bool required, bool *out, const char *what,
              struct error *err);
int json_object(const cJSON *obj, const char *key, bool required, const cJSON **out,
                const char *what, struct error *err);
int json_array(const cJSON *obj, const char *key, bool required, const cJSON **out,
               const char *what, struct error *err);
