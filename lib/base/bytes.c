/* SPDX-License-Identifier: Apache-2.0 */
/* bytes: the bounded cursor and the growing buffer. */
#include "bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

const uint8_t *reader_bytes(struct reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->failed || n > reader_left(r)) {
		r->failed = true;
		return NULL;
	}
	r->p += n;
	return p;
}

void reader_skip(struct reader *r, size_t n)
{
	reader_bytes(r, n);
}

static uint64_t read_number(struct reader *r, size_t n, bool big)
{
	const uint8_t *p = reader_bytes(r, n);
	uint64_t v = 0;

	if (!p)
		return 0;
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << 8 * (big ? n - 1 - i : i);
	return v;
}

uint8_t reader_u8(struct reader *r)
{
	return (uint8_t)read_number(r, 1, false);
}

uint16_t reader_le16(struct reader *r)
{
	return (uint16_t)read_number(r, 2, false);
}

uint32_t reader_le32(struct reader *r)
{
	return (uint32_t)read_number(r, 4, false);
}

uint64_t reader_le64(struct reader *r)
{
	return read_number(r, 8, false);
}

uint16_t reader_be16(struct reader *r)
{
	return (uint16_t)read_number(r, 2, true);
}

uint32_t reader_be32(struct reader *r)
{
	return (uint32_t)read_number(r, 4, true);
}

void buffer_free(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer)BUFFER_INIT;
}

void buffer_clear(struct buffer *b)
{
	b->size = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = 0;
}

uint8_t *buffer_reserve(struct buffer *b, size_t n)
{
	size_t limit = b->limit ? b->limit : SIZE_MAX / 2, need, room;
	uint8_t *p;

	if (b->failed)
		return NULL;
	if (__builtin_add_overflow(b->size, n, &need) || need > limit) {
		b->failed = true;
		return NULL;
	}
	if (need + 1 <= b->room)
		return b->data + b->size;
	room = b->room ? b->room : 64;
	while (room < need + 1)
		room *= 2;
	if (room > limit + 1)
		room = limit + 1;
	p = realloc(b->data, room);
	if (!p) {
		b->failed = true;
		return NULL;
	}
	b->data = p;
	b->room = room;
	return b->data + b->size;
}

void buffer_append(struct buffer *b, const void *data, size_t n)
{
	uint8_t *p = buffer_reserve(b, n);

	if (!p)
		return;
	if (n)
		memcpy(p, data, n);
	b->size += n;
	b->data[b->size] = 0;
}

void buffer_fill(struct buffer *b, uint8_t byte, size_t n)
{
	uint8_t *p = buffer_reserve(b, n);

	if (!p)
		return;
	memset(p, byte, n);
	b->size += n;
	b->data[b->size] = 0;
}

void buffer_str(struct buffer *b, const char *s)
{
	buffer_append(b, s, strlen(s));
}

void buffer_vprintf(struct buffer *b, const char *fmt, va_list ap)
{
	va_list again;
	uint8_t *p;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0) {
		b->failed = true;
		return;
	}
	p = buffer_reserve(b, (size_t)n);
	if (!p)
		return;
	vsnprintf((char *)p, (size_t)n + 1, fmt, ap);
	b->size += (size_t)n;
}

void buffer_printf(struct buffer *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buffer_vprintf(b, fmt, ap);
	va_end(ap);
}

static void append_number(struct buffer *b, uint64_t v, size_t n, bool big)
{
	uint8_t raw[8];

	for (size_t i = 0; i < n; i++)
		raw[i] = (uint8_t)(v >> 8 * (big ? n - 1 - i : i));
	buffer_append(b, raw, n);
}

void buffer_le16(struct buffer *b, uint16_t v)
{
	append_number(b, v, 2, false);
}

void buffer_le32(struct buffer *b, uint32_t v)
{
	append_number(b, v, 4, false);
}

void buffer_le64(struct buffer *b, uint64_t v)
{
	append_number(b, v, 8, false);
}

void buffer_be16(struct buffer *b, uint16_t v)
{
	append_number(b, v, 2, true);
}

void buffer_be32(struct buffer *b, uint32_t v)
{
	append_number(b, v, 4, true);
}

void buffer_json_escape(struct buffer *b, const char *s, size_t n)
{
	const uint8_t *p = (const uint8_t *)s;

	for (size_t i = 0; i < n;) {
		uint8_t c = p[i];
		size_t len;

		if (c == '"' || c == '\\') {
			buffer_append(b, (uint8_t[]){'\\', c}, 2);
			i++;
		} else if (c < 0x20 || c == 0x7f) {
			buffer_printf(b, "\\u%04x", c);
			i++;
		} else if (c < 0x80) {
			buffer_append(b, &c, 1);
			i++;
		} else if ((len = utf8_length(p + i, n - i)) > 0) {
			buffer_append(b, p + i, len);
			i += len;
		} else {
			buffer_str(b, "\\ufffd");
			i++;
		}
	}
}

void buffer_json_string(struct buffer *b, const char *s)
{
	buffer_str(b, "\"");
	buffer_json_escape(b, s, strlen(s));
	buffer_str(b, "\"");
}

char *buffer_steal(struct buffer *b)
{
	char *p;

	if (b->failed || (!b->data && !buffer_reserve(b, 0))) {
		buffer_free(b);
		return NULL;
	}
	b->data[b->size] = 0;
	p = (char *)b->data;
	*b = (struct buffer)BUFFER_INIT;
	return p;
}

const char *buffer_cstr(const struct buffer *b)
{
	return b->data && b->size ? (const char *)b->data : "";
}
