/* SPDX-License-Identifier: Apache-2.0 */
/* str: strings, string vectors and strict number parsing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
static inline bool str_empty(const char *s)
{
	return !s || !*s;
}

/* printf into fresh memory; NULL on a full memory. */
char *str_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Whole string, decimal digits only, no sign, no blanks; -EINVAL or -ERANGE. */
int parse_u64(const char *s, uint64_t *out);
int parse_u32(const char *s, uint32_t *out);
int parse_octal(const char *s, uint32_t *out);
/* "10", "64K", "128M", "2G", "2GiB": powers of 1024. -EINVAL or -ERANGE. */
int parse_size(const char *s, uint64_t *bytes);
/* "10", "500ms", "30s", "5m", "1h"; a bare number is seconds. */
int parse_duration_ms(const char *s, uint64_t *ms);

/* A growable NULL-terminated vector of owned strings. */
struct strv {
	char **v; /* NULL-terminated when not NULL */
	size_t n;
};

#define STRV_INIT                                                                                  \
	{                                                                                          \
		0                                                                                  \
	}

int strv_add(struct strv *sv, const char *s); /* copies; 0 or -ENOMEM */
int strv_addf(struct strv *sv, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int strv_add_take(struct strv *sv, char *s); /* takes s, frees it on failure */
/* Splits s at any character of seps, empty fields dropped. */
int strv_split(struct strv *sv, const char *s, const char *seps);
bool strv_has(const struct strv *sv, const char *s);
void strv_free(struct strv *sv);
#define _cleanup_strv_ __attribute__((cleanup(strv_free)))
