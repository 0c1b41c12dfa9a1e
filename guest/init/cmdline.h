/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmdline: the kernel command line, cut into words the way the kernel cuts it.
 *
 * Words are separated by blanks; a double quote starts or ends a stretch in which blanks do not
 * separate (kernel lib/cmdline.c, next_arg()); quotes round a whole word or a whole value are
 * taken off. In keys '-' and '_' are the same letter, as for kernel parameters.
 *
 * A struct cmdline is about 8 KiB and owns everything it points to.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define CMDLINE_MAX       4096 /* bytes; COMMAND_LINE_SIZE is 2048 on x86-64 */
#define CMDLINE_MAX_WORDS 256  /* further words are dropped, and `truncated` is set */

struct cmdline_word {
	const char *key;
	const char *value; /* NULL for a word without '=' */
};

struct cmdline {
	char text[CMDLINE_MAX + 1];
	struct cmdline_word words[CMDLINE_MAX_WORDS];
	size_t n;
	bool truncated;
};

/* Never fails: what does not fit is dropped and `truncated` says so. A NUL ends the text. */
void cmdline_parse(struct cmdline *c, const uint8_t *text, size_t size);

/* Reads /proc/cmdline; on failure *c is empty and usable. */
int cmdline_read(struct cmdline *c, struct error *err);

/* The last word with this key, or NULL. */
const struct cmdline_word *cmdline_find(const struct cmdline *c, const char *key);
/* Each in turn: start with i = 0. NULL after the last. */
const struct cmdline_word *cmdline_next(const struct cmdline *c, const char *key, size_t *i);

/* The value of the last word with this key; NULL when absent or without a value. */
const char *cmdline_value(const struct cmdline *c, const char *key);

/* "key" alone or with an empty value is true; else true, false or an integer. 0 found, 1 absent
 * (out untouched), -EINVAL anything else. */
int cmdline_bool(const struct cmdline *c, const char *key, bool *out);
/* 0 found, 1 absent (out untouched), -EINVAL or -ERANGE. */
int cmdline_u64(const struct cmdline *c, const char *key, uint64_t *out);
