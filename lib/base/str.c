/* SPDX-License-Identifier: Apache-2.0 */
/* str: strings, string vectors and strict number parsing. */
#include "str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), k = strlen(suffix);

	return n >= k && memcmp(s + n - k, suffix, k) == 0;
}

char *str_printf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}

/* Digits of `base` from *s on; leaves *s behind them. */
static int parse_digits(const char **s, unsigned int base, uint64_t *out)
{
	const char *p = *s;
	uint64_t v = 0;

	if (*p < '0' || *p >= (char)('0' + base))
		return -EINVAL;
	for (; *p >= '0' && *p < (char)('0' + base); p++)
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return -ERANGE;
	*s = p;
	*out = v;
	return 0;
}

static int parse_whole(const char *s, unsigned int base, uint64_t max, uint64_t *out)
{
	uint64_t v;
	int r = parse_digits(&s, base, &v);

	if (r < 0)
		return r;
	if (*s)
		return -EINVAL;
	if (v > max)
		return -ERANGE;
	*out = v;
	return 0;
}

int parse_u64(const char *s, uint64_t *out)
{
	return parse_whole(s, 10, UINT64_MAX, out);
}

int parse_u32(const char *s, uint32_t *out)
{
	uint64_t v;
	int r = parse_whole(s, 10, UINT32_MAX, &v);

	if (r == 0)
		*out = (uint32_t)v;
	return r;
}

int parse_octal(const char *s, uint32_t *out)
{
	uint64_t v;
	int r = parse_whole(s, 8, UINT32_MAX, &v);

	if (r == 0)
		*out = (uint32_t)v;
	return r;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static int parse_with_unit(const char *s, const struct unit *units, uint64_t *out)
{
	uint64_t v;
	int r = parse_digits(&s, 10, &v);

	if (r < 0)
		return r;
	for (; units->name; units++) {
		if (strcasecmp(s, units->name) != 0)
			continue;
		return __builtin_mul_overflow(v, units->factor, out) ? -ERANGE : 0;
	}
	return -EINVAL;
}

int parse_size(const char *s, uint64_t *bytes)
{
	static const struct unit units[] = {
	    {"", 1},           {"b", 1},
	    {"k", 1ull << 10}, {"kib", 1ull << 10},
	    {"m", 1ull << 20}, {"mib", 1ull << 20},
	    {"g", 1ull << 30}, {"gib", 1ull << 30},
	    {"t", 1ull << 40}, {"tib", 1ull << 40},
	    {NULL, 0},
	};

	return parse_with_unit(s, units, bytes);
}

int parse_duration_ms(const char *s, uint64_t *ms)
{
	static const struct unit units[] = {
	    {"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0},
	};

	return parse_with_unit(s, units, ms);
}

int strv_add_take(struct strv *sv, char *s)
{
	char **v;

	if (!s)
		return -ENOMEM;
	/* Grows by powers of two: n and n + 1 with n a power of two is the step. */
	if ((sv->n & (sv->n + 1)) == 0) {
		v = realloc(sv->v, (2 * sv->n + 2) * sizeof(*v));
		if (!v) {
			free(s);
			return -ENOMEM;
		}
		sv->v = v;
	}
	sv->v[sv->n++] = s;
	sv->v[sv->n] = NULL;
	return 0;
}

int strv_add(struct strv *sv, const char *s)
{
	return strv_add_take(sv, strdup(s));
}

int strv_addf(struct strv *sv, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return strv_add_take(sv, n < 0 ? NULL : s);
}

int strv_split(struct strv *sv, const char *s, const char *seps)
{
	while (*s) {
		size_t n = strcspn(s, seps);

		if (n > 0) {
			int r = strv_add_take(sv, strndup(s, n));

			if (r < 0)
				return r;
		}
		s += n;
		s += strspn(s, seps);
	}
	return 0;
}

bool strv_has(const struct strv *sv, const char *s)
{
	for (size_t i = 0; i < sv->n; i++)
		if (strcmp(sv->v[i], s) == 0)
			return true;
	return false;
}

void strv_free(struct strv *sv)
{
	for (size_t i = 0; i < sv->n; i++)
		free(sv->v[i]);
	free(sv->v);
	*sv = (struct strv)STRV_INIT;
}
