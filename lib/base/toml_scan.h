/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toml_scan: the words of a TOML document - keys, strings, numbers, dates, comments.
 * Used by toml.c alone.
 */
#pragma once

#include <stddef.h>

#include "error.h"
#include "json.h"

struct toml_scan {
	const char *p, *end, *start;
	const char *what; /* the document's name in errors */
	size_t keys;      /* counted by the caller */
};

/* The next byte, or -1 at the end. */
static inline int toml_scan_peek(const struct toml_scan *s)
{
	return s->p < s->end ? (unsigned char)*s->p : -1;
}

/* -EINVAL with "WHAT: line N: message". */
int toml_scan_error(const struct toml_scan *s, struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), cold));

void toml_scan_blanks(struct toml_scan *s);      /* spaces and tabs */
void toml_scan_blank_lines(struct toml_scan *s); /* those, line ends and comments */
/* Nothing but blanks and a comment up to the line's end. */
int toml_scan_line_end(struct toml_scan *s, struct error *err);

/* One part of a key, as fresh memory. */
int toml_scan_key(struct toml_scan *s, char **out, struct error *err);
/* A string, number, boolean, date or time. */
int toml_scan_scalar(struct toml_scan *s, cJSON **out, struct error *err);
