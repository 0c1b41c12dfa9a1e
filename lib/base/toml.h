/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toml: TOML 1.0 read into the same tree as JSON, so that json.h's typed access and
 * one reader of a configuration serve both.
 *
 * Tables are objects, arrays of tables are arrays of objects, dates and times are
 * strings. Refused, because the tree cannot carry them: integers beyond 2^53, inf,
 * nan, and NUL characters in strings. Keys may not repeat.
 */
#pragma once

#include <stddef.h>

#include "error.h"
#include "json.h"

#define TOML_MAX_DEPTH 32   /* of tables and arrays in each other */
#define TOML_MAX_KEYS  4096 /* in one document */

/* Parses a document of at most `max` bytes. `what` names it in errors, which give the
 * line. -EINVAL: not TOML; -EFBIG: past a limit; -ENOMEM. */
int toml_parse(const char *text, size_t size, size_t max, const char *what, cJSON **out,
               struct error *err);

struct buffer;
/* Appends a basic string ("...") that reads back as the given bytes. -EINVAL: not UTF-8,
 * or a NUL byte among them. */
int toml_quote(struct buffer *out, const void *text, size_t size);
