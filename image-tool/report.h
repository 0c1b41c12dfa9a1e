/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: what a verb found, as lines for people or as one JSON document.
 *
 * The same calls make both: members become `key  value` lines, objects headed groups, items of
 * a list one line each (which the caller words). Nothing is printed before report_print(), so
 * that what fails half-way prints its error alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

#define REPORT_MAX_DEPTH 16

struct report {
	struct buffer out;
	bool json;
	bool finished;      /* `out` is a whole document of somebody else's making */
	unsigned int depth; /* open objects and lists, the document itself not counted */
	struct {
		bool list, item, begun;
		size_t from, heading; /* where its heading begins and ends in `out` */
	} levels[REPORT_MAX_DEPTH];
};

void report_init(struct report *r, bool json);
void report_free(struct report *r);
#define _cleanup_report_ __attribute__((cleanup(report_free)))

/* Members of the object that is open. NULL is left out. */
void report_string(struct report *r, const char *key, const char *value);
void report_stringf(struct report *r, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void report_number(struct report *r, const char *key, uint64_t value);
void report_signed(struct report *r, const char *key, int64_t value);
void report_flag(struct report *r, const char *key, bool value);
/* A member that only JSON has, already formatted. */
void report_raw(struct report *r, const char *key, const char *json);

void report_object(struct report *r, const char *key);
void report_list(struct report *r, const char *key);
/* One object of the list that is open; people read the line instead of its members. */
void report_item(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Ends the innermost object, list or item. People see no heading over nothing. */
void report_end(struct report *r);

/* A line for people; nothing in JSON. */
void report_line(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints all of it. -ENOMEM; that standard output takes nothing is seen by program_main(). */
int report_print(struct report *r, struct error *err);

/* Appends text with control characters, and bytes that are not UTF-8, as \xHH: names of files must
 * not rule a terminal. */
void report_quote(struct buffer *out, const char *text);
