/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: command lines as tables, so that parsing, --help, completion and the
 * "unknown option" line come from one place.
 *
 * A program is a list of verbs; a verb has options and a function. Understood:
 * --name VALUE, --name=VALUE, -x VALUE, -xVALUE, bundled flags (-it), `--`.
 * Usage errors print one line and give exit status 2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "str.h"

enum option_type {
	OPTION_FLAG,     /* bool */
	OPTION_STRING,   /* const char * (points into argv) */
	OPTION_LIST,     /* struct strv (repeatable) */
	OPTION_U32,      /* uint32_t */
	OPTION_SIZE,     /* uint64_t, bytes: 64M, 2G */
	OPTION_DURATION, /* uint64_t, milliseconds: 30s, 5m */
	OPTION_ENUM,     /* const char *, one of `choices` */
};

struct option {
	const char *name; /* without the dashes; NULL ends a table */
	char letter;      /* 0: none */
	enum option_type type;
	size_t offset;       /* offsetof() the member of the verb's data that takes it */
	const char *arg;     /* name of the argument in --help */
	const char *choices; /* "a|b|c" for OPTION_ENUM */
	const char *help;    /* may hold newlines */
};

struct verb {
	const char *name;    /* NULL ends a table */
	const char *args;    /* "IMAGE [COMMAND...]" */
	const char *summary; /* one line */
	const char *details; /* paragraphs for --help, may be NULL */
	const struct option *options;
	bool stop_at_first; /* options end at the first positional (as in `run IMAGE CMD -x`) */
	unsigned int min_args, max_args; /* positionals; max 0 means none, UINT_MAX no limit */
	/* argv: positionals only, NULL-terminated. `data` has data_size zeroed
	 * bytes, defaulted by `defaults` first. Returns the exit status. */
	int (*run)(int argc, char **argv, void *data);
	void (*defaults)(void *data);
	void (*release)(void *data); /* frees what options put into data; may be NULL */
	size_t data_size;
};

struct program {
	const char *name;
	const char *summary;
	const char *details;      /* description, exit status, files, examples */
	const struct verb *verbs; /* NULL: a program without verbs, see `only` */
	const struct verb *only;  /* the single action of a program without verbs */
	int output_status;        /* when standard output cannot be written; 0: 4 */
};

/* Handles --help, -h, help [VERB], --version, --completion-bash, --man[=VERB].
 * Returns the exit status; that what was printed went nowhere is a failure, too. Descriptors
 * 0 to 2 are open while it runs. */
int program_main(const struct program *p, int argc, char **argv);

/* Exit status for an error: 1 failed, 2 usage, 3 input, 4 environment, 5 verification.
 * Prints "NAME: text" (one line) on stderr. */
int program_fail(const char *name, const struct error *err);
