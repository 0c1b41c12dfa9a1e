/* SPDX-License-Identifier: Apache-2.0 */
/* toml_scan: see the header. */
#include "toml_scan.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "toml.h"
#include "utf8.h"

int toml_scan_error(const struct toml_scan *s, struct error *err, const char *fmt, ...)
{
	size_t line = 1;
	char text[256];
	va_list ap;

	for (const char *p = s->start; p < s->p && p < s->end; p++)
		line += *p == '\n';
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return error_set_kind(err, ERROR_INPUT, EINVAL, "%s: line %zu: %s", s->what, line, text);
}

void toml_scan_blanks(struct toml_scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t'))
		s->p++;
}

static void skip_comment(struct toml_scan *s)
{
	if (toml_scan_peek(s) != '#')
		return;
	while (s->p < s->end && *s->p != '\n')
		s->p++;
}

void toml_scan_blank_lines(struct toml_scan *s)
{
	const char *before;

	do {
		before = s->p;
		toml_scan_blanks(s);
		skip_comment(s);
		while (s->p < s->end && (*s->p == '\n' || *s->p == '\r'))
			s->p++;
	} while (s->p != before);
}

int toml_scan_line_end(struct toml_scan *s, struct error *err)
{
	toml_scan_blanks(s);
	skip_comment(s);
	if (toml_scan_peek(s) == '\r')
		s->p++;
	if (s->p < s->end && *s->p != '\n')
		return toml_scan_error(s, err, "something follows the value");
	return 0;
}

static bool starts(const struct toml_scan *s, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(s->end - s->p) >= n && !memcmp(s->p, text, n);
}

/* \uXXXX and \UXXXXXXXX, the cursor behind the letter. */
static int read_unicode(struct toml_scan *s, size_t digits, struct buffer *out, struct error *err)
{
	uint32_t v = 0;

	for (size_t i = 0; i < digits; i++) {
		int c = toml_scan_peek(s);

		if (c >= '0' && c <= '9')
			c -= '0';
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			c = (c | 32) - 'a' + 10;
		else
			return toml_scan_error(s, err, "a broken \\u in a string");
		v = v << 4 | (uint32_t)c;
		s->p++;
	}
	if (v == 0)
		return toml_scan_error(s, err, "a NUL character in a string");
	if (utf8_append(out, v))
		return toml_scan_error(s, err, "a \\u that is no character in a string");
	return 0;
}

static int read_escape(struct toml_scan *s, bool multi, struct buffer *out, struct error *err)
{
	static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
	int c = toml_scan_peek(s);
	const char *at = c > 0 ? strchr(from, c) : NULL;
	const char *p;

	if (at) {
		s->p++;
		buffer_append(out, &to[at - from], 1);
		return 0;
	}
	if (c == 'u' || c == 'U') {
		s->p++;
		return read_unicode(s, c == 'u' ? 4 : 8, out, err);
	}
	/* A backslash that ends a line of a multi-line string swallows the blanks after it. */
	for (p = s->p; p < s->end && (*p == ' ' || *p == '\t' || *p == '\r'); p++)
		;
	if (!multi || p == s->end || *p != '\n')
		return toml_scan_error(s, err, "an unknown escape in a string");
	while (p < s->end && strchr(" \t\r\n", *p) && *p)
		p++;
	s->p = p;
	return 0;
}

static bool allowed_in_string(int c, bool multi)
{
	return (c >= 0x20 && c != 0x7f) || c == '\t' || (multi && (c == '\n' || c == '\r'));
}

/* A string of any of the four kinds; the cursor is on its first quote. */
static int read_string(struct toml_scan *s, bool allow_multi, struct buffer *out, struct error *err)
{
	char quote = *s->p, triple[4] = {quote, quote, quote, 0};
	bool multi = starts(s, triple);
	size_t from;

	if (multi && !allow_multi)
		return toml_scan_error(s, err, "a key may not be a multi-line string");
	s->p += multi ? 3 : 1;
	if (multi && starts(s, "\r\n"))
		s->p += 2;
	else if (multi && starts(s, "\n"))
		s->p++;
	from = out->size;
	for (;;) {
		int c = toml_scan_peek(s);

		if (c < 0 || !allowed_in_string(c, multi))
			return toml_scan_error(s, err,
			                       c < 0 || c == '\n'
			                           ? "a string does not end"
			                           : "a control character in a string");
		if (c == quote && (!multi || starts(s, triple)))
			break;
		s->p++;
		if (c == '\\' && quote == '"') {
			int r = read_escape(s, multi, out, err);

			if (r)
				return r;
			continue;
		}
		if (c != '\r')
			buffer_append(out, &(char){(char)c}, 1);
	}
	s->p += multi ? 3 : 1;
	/* Up to two quotes may stand right before the closing three. */
	for (int i = 0; multi && i < 2 && toml_scan_peek(s) == quote; i++, s->p++)
		buffer_append(out, &quote, 1);
	if (out->failed)
		return error_set(err, ENOMEM, "out of memory reading %s", s->what);
	if (!utf8_valid(out->data ? out->data + from : NULL, out->size - from))
		return toml_scan_error(s, err, "a string that is not UTF-8");
	return 0;
}

int toml_scan_key(struct toml_scan *s, char **out, struct error *err)
{
	static const char bare[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	int c = toml_scan_peek(s);

	if (c == '"' || c == '\'') {
		int r = read_string(s, false, &b, err);

		if (r)
			return r;
	} else {
		const char *from = s->p;

		while (s->p < s->end && *s->p && strchr(bare, *s->p))
			s->p++;
		if (s->p == from)
			return toml_scan_error(s, err, "no key where one should be");
		buffer_append(&b, from, (size_t)(s->p - from));
	}
	buffer_append(&b, "", 1);
	*out = buffer_steal(&b);
	return *out ? 0 : error_set(err, ENOMEM, "out of memory reading %s", s->what);
}

#define WORD_MAX 64

/* The characters of a number, a date or a bare word, without a NUL among them. */
static size_t read_word(struct toml_scan *s, char *word)
{
	static const char in_word[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+.:";
	size_t n = 0;

	while (s->p < s->end && *s->p && n < WORD_MAX - 1) {
		bool date_then_time = *s->p == ' ' && n == 10 && word[4] == '-' &&
		                      s->p + 1 < s->end && s->p[1] >= '0' && s->p[1] <= '9';

		if (!strchr(in_word, *s->p) && !date_then_time)
			break;
		word[n++] = *s->p++;
	}
	word[n] = '\0';
	return n;
}

/* `pattern`: 0 stands for a digit, anything else for itself. Length matched, or 0. */
static size_t matches(const char *word, const char *pattern)
{
	size_t i;

	for (i = 0; pattern[i]; i++)
		if (pattern[i] == '0' ? word[i] < '0' || word[i] > '9' : word[i] != pattern[i])
			return 0;
	return i;
}

/* A local or offset date-time, date or time (RFC 3339); which day it names is not checked. */
static bool is_date(const char *w)
{
	size_t date = matches(w, "0000-00-00"), n;

	w += date;
	if (date && !*w)
		return true;
	if (date && *w != 'T' && *w != 't' && *w != ' ')
		return false;
	w += date ? 1 : 0;
	n = matches(w, "00:00:00");
	if (!n)
		return false;
	w += n;
	if (*w == '.') {
		if (!matches(w + 1, "0"))
			return false;
		for (w++; *w >= '0' && *w <= '9'; w++)
			;
	}
	if (date && (*w == 'Z' || *w == 'z'))
		w++;
	else if (date && (matches(w, "+00:00") || matches(w, "-00:00")))
		w += 6;
	return !*w;
}

/* Takes out underscores, each of which must stand between two digits. */
static bool strip_underscores(const char *from, char *to)
{
	static const char digits[] = "0123456789abcdefABCDEF";

	for (const char *p = from; *p; p++) {
		if (*p != '_') {
			*to++ = *p;
			continue;
		}
		if (p == from || !strchr(digits, p[-1]) || !p[1] || !strchr(digits, p[1]))
			return false;
	}
	*to = '\0';
	return true;
}

static bool read_based(const char *w, double *out)
{
	static const struct {
		char letter;
		int base;
	} bases[] = {{'x', 16}, {'o', 8}, {'b', 2}};

	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		char *end;
		unsigned long long v;

		if (w[0] != '0' || w[1] != bases[i].letter || !w[2] || w[2] == '+' || w[2] == '-')
			continue;
		errno = 0;
		v = strtoull(w + 2, &end, bases[i].base);
		*out = (double)v;
		return !*end && !errno && v <= 1ULL << 53;
	}
	return false;
}

/* [+-] digits [. digits] [e [+-] digits], no leading zeros. */
static bool read_decimal(const char *w, double *out)
{
	const char *p = w + (*w == '+' || *w == '-'), *q = p;
	bool integer = true;
	char *end;

	for (; *q >= '0' && *q <= '9'; q++)
		;
	if (q == p || (*p == '0' && q - p > 1))
		return false;
	if (*q == '.') {
		integer = false;
		for (p = ++q; *q >= '0' && *q <= '9'; q++)
			;
		if (q == p)
			return false;
	}
	if (*q == 'e' || *q == 'E') {
		integer = false;
		q += 1 + (q[1] == '+' || q[1] == '-');
		for (p = q; *q >= '0' && *q <= '9'; q++)
			;
		if (q == p)
			return false;
	}
	if (*q)
		return false;
	if (integer) {
		long long v;

		errno = 0;
		v = strtoll(w, &end, 10);
		*out = (double)v;
		return !*end && !errno && v <= 1LL << 53 && v >= -(1LL << 53);
	}
	*out = strtod(w, &end);
	return !*end && *out - *out == 0;
}

int toml_scan_scalar(struct toml_scan *s, cJSON **out, struct error *err)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	char word[WORD_MAX], plain[WORD_MAX];
	int c = toml_scan_peek(s);
	double v;

	if (c == '"' || c == '\'') {
		int r = read_string(s, true, &b, err);

		if (r)
			return r;
		*out = cJSON_CreateString(buffer_cstr(&b));
	} else if (!read_word(s, word)) {
		return toml_scan_error(s, err, "no value where one should be");
	} else if (!strcmp(word, "true") || !strcmp(word, "false")) {
		*out = cJSON_CreateBool(word[0] == 't');
	} else if (is_date(word)) {
		*out = cJSON_CreateString(word);
	} else if (strip_underscores(word, plain) &&
	           (read_based(plain, &v) || read_decimal(plain, &v))) {
		*out = cJSON_CreateNumber(v);
	} else {
		return toml_scan_error(s, err, "\"%.32s\" is no value (strings need quotes)", word);
	}
	return *out ? 0 : error_set(err, ENOMEM, "out of memory reading %s", s->what);
}

int toml_quote(struct buffer *out, const void *text, size_t size)
{
	const uint8_t *p = text;

	if (!utf8_valid(p, size) || (size && memchr(p, 0, size)))
		return -EINVAL;
	buffer_str(out, "\"");
	for (size_t i = 0; i < size; i++) {
		switch (p[i]) {
		case '\n':
			buffer_str(out, "\\n");
			break;
		case '"':
		case '\\':
			buffer_printf(out, "\\%c", p[i]);
			break;
		default:
			if (p[i] < 0x20 || p[i] == 0x7f)
				buffer_printf(out, "\\u%04X", p[i]);
			else
				buffer_append(out, &p[i], 1);
		}
	}
	buffer_str(out, "\"");
	return 0;
}
