/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error: what went wrong, made where it failed, told to a person once.
 *
 * A fallible function takes `struct error *err` last and returns 0 or a
 * negative errno value; the message is written at the place of failure and
 * callers add what they were doing with error_prefix(). A positive return is
 * a documented outcome, not an error. Nothing here allocates, so PID 1 can
 * report an out-of-memory condition.
 *
 * `err` may always be NULL: the code is still returned, the text is dropped.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#define ERROR_TEXT_MAX 768

/* Whose fault it is. Command-line programs map this to their exit status. */
enum error_kind {
	ERROR_FAILED = 0,   /* internal, or not said */
	ERROR_USAGE,        /* the command line is wrong */
	ERROR_INPUT,        /* a file, an image or a peer's bytes are wrong */
	ERROR_ENVIRONMENT,  /* a tool, a file, room or a permission is missing */
	ERROR_VERIFICATION, /* a digest, signature or certificate does not hold */
};

struct error {
	int code; /* negative errno value, 0 when unset */
	enum error_kind kind;
	char text[ERROR_TEXT_MAX]; /* one line, no trailing newline */
};

#define ERROR_INIT                                                                                 \
	{                                                                                          \
		0, ERROR_FAILED, ""                                                                \
	}

/* Sets code (-errnum) and text; returns -errnum. errnum must be positive. */
int error_set(struct error *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), cold));
int error_set_kind(struct error *err, enum error_kind kind, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 4, 5), cold));

/* As error_set(), with ": " and the text of errno value errnum appended. */
int error_errno(struct error *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), cold));

/* Puts "fmt: " before the text that is there; returns err->code (or code
 * `fallback` when err is NULL): `return error_prefix(err, r, "layer %d", i)`. */
int error_prefix(struct error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), cold));

/* Appends to the text, for what to do about it. Returns code. */
int error_hint(struct error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), cold));

void error_clear(struct error *err);
