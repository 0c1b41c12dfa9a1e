/* SPDX-License-Identifier: Apache-2.0 */
/* report: one document in two forms. */
#include "image-tool/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/utf8.h"

#define KEY_WIDTH 14

void report_init(struct report *r, bool json)
{
	*r = (struct report){.json = json};
	if (json)
		buffer_str(&r->out, "{");
}

void report_free(struct report *r)
{
	buffer_free(&r->out);
}

void report_quote(struct buffer *out, const char *text)
{
	const uint8_t *p = (const uint8_t *)text, *end = p + strlen(text);

	while (p < end) {
		size_t n = utf8_length(p, (size_t)(end - p));

		/* C1 controls are two bytes of UTF-8 and rule terminals, too. */
		if (n == 0 || *p < 0x20 || *p == 0x7f || (n == 2 && *p == 0xc2 && p[1] < 0xa0)) {
			n = n ?: 1;
			for (size_t i = 0; i < n; i++)
				buffer_printf(out, "\\x%02x", p[i]);
		} else {
			buffer_append(out, p, n);
		}
		p += n;
	}
}

static bool in_item(const struct report *r)
{
	for (unsigned int i = 0; i < r->depth; i++)
		if (r->levels[i].item)
			return true;
	return false;
}

/* In an item people have the line already. */
static bool hidden(const struct report *r)
{
	return !r->json && in_item(r);
}

static void indent(struct report *r)
{
	buffer_fill(&r->out, ' ', 2 * (size_t)r->depth + 2);
}

/* The comma and the line before a member or an item of JSON. */
static void next(struct report *r)
{
	if (r->levels[r->depth].begun)
		buffer_str(&r->out, in_item(r) ? ", " : ",");
	r->levels[r->depth].begun = true;
	if (in_item(r))
		return;
	buffer_str(&r->out, "\n");
	buffer_fill(&r->out, ' ', r->depth + 1);
}

static void json_key(struct report *r, const char *key)
{
	next(r);
	buffer_json_string(&r->out, key);
	buffer_str(&r->out, ":");
}

static void text_key(struct report *r, const char *key)
{
	indent(r);
	buffer_printf(&r->out, "%-*s ", KEY_WIDTH - 2 * (int)(r->depth > 5 ? 5 : r->depth), key);
}

/* Before a value that is its own JSON; false when nothing is shown. */
static bool begin(struct report *r, const char *key)
{
	if (hidden(r))
		return false;
	if (r->json)
		json_key(r, key);
	else
		text_key(r, key);
	return true;
}

void report_string(struct report *r, const char *key, const char *value)
{
	if (!value || hidden(r))
		return;
	if (r->json) {
		json_key(r, key);
		buffer_json_string(&r->out, value);
		return;
	}
	text_key(r, key);
	report_quote(&r->out, value);
	buffer_str(&r->out, "\n");
}

void report_stringf(struct report *r, const char *key, const char *fmt, ...)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	va_list ap;

	va_start(ap, fmt);
	buffer_vprintf(&text, fmt, ap);
	va_end(ap);
	r->out.failed |= text.failed;
	report_string(r, key, buffer_cstr(&text));
}

void report_raw(struct report *r, const char *key, const char *json)
{
	if (!r->json)
		return;
	json_key(r, key);
	buffer_str(&r->out, json);
}

void report_number(struct report *r, const char *key, uint64_t value)
{
	if (begin(r, key))
		buffer_printf(&r->out, "%" PRIu64 "%s", value, r->json ? "" : "\n");
}

void report_signed(struct report *r, const char *key, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	if (r->json)
		report_raw(r, key, text);
	else
		report_string(r, key, text);
}

void report_flag(struct report *r, const char *key, bool value)
{
	if (begin(r, key))
		buffer_str(&r->out, r->json ? value ? "true" : "false" : value ? "yes\n" : "no\n");
}

static void open_level(struct report *r, bool list, bool item)
{
	if (r->depth + 1 >= REPORT_MAX_DEPTH) {
		r->out.failed = true;
		return;
	}
	r->levels[r->depth].list = list;
	r->levels[r->depth].item = item;
	r->depth++;
	r->levels[r->depth].begun = false;
}

static void open_named(struct report *r, const char *key, bool list)
{
	r->levels[r->depth].from = r->out.size;
	if (r->json) {
		json_key(r, key);
		buffer_str(&r->out, list ? "[" : "{");
	} else if (!hidden(r)) {
		indent(r);
		buffer_printf(&r->out, "%s\n", key);
	}
	r->levels[r->depth].heading = r->out.size;
	open_level(r, list, false);
}

void report_object(struct report *r, const char *key)
{
	open_named(r, key, false);
}

void report_list(struct report *r, const char *key)
{
	open_named(r, key, true);
}

void report_item(struct report *r, const char *fmt, ...)
{
	va_list ap;

	if (r->json) {
		next(r);
		buffer_str(&r->out, "{");
	} else if (!hidden(r)) {
		indent(r);
		va_start(ap, fmt);
		buffer_vprintf(&r->out, fmt, ap);
		va_end(ap);
		buffer_str(&r->out, "\n");
	}
	open_level(r, false, true);
}

void report_end(struct report *r)
{
	if (r->depth == 0)
		return;
	r->depth--;
	if (r->json)
		buffer_str(&r->out, r->levels[r->depth].list ? "]" : "}");
	else if (!r->levels[r->depth].item && r->out.size == r->levels[r->depth].heading)
		r->out.size = r->levels[r->depth].from;
}

void report_line(struct report *r, const char *fmt, ...)
{
	va_list ap;

	if (r->json || hidden(r))
		return;
	va_start(ap, fmt);
	buffer_vprintf(&r->out, fmt, ap);
	va_end(ap);
	buffer_str(&r->out, "\n");
}

int report_print(struct report *r, struct error *err)
{
	while (r->depth > 0)
		report_end(r);
	if (r->json && !r->finished)
		buffer_str(&r->out, "\n}\n");
	if (r->out.failed)
		return error_set(err, ENOMEM, "no memory for what was found");
	if (r->out.size > 0)
		fwrite(r->out.data, 1, r->out.size, stdout);
	return 0;
}
