/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes: a cursor that cannot run over, and a buffer that grows to a limit.
 *
 * struct reader walks bytes that somebody else made: once a read does not
 * fit, `failed` is set, every later read returns zeros, and the caller checks
 * once at the end. struct buffer is for building: on a failed allocation or
 * past `limit`, `failed` is set and later appends do nothing.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct reader {
	const uint8_t *p;
	const uint8_t *end;
	bool failed;
};

static inline struct reader reader_init(const void *data, size_t size)
{
	const uint8_t *p = data;

	return (struct reader){p, p + size, false};
}

static inline size_t reader_left(const struct reader *r)
{
	return (size_t)(r->end - r->p);
}

/* The next n bytes, or NULL (and failed) when there are not that many. */
const uint8_t *reader_bytes(struct reader *r, size_t n);
uint8_t reader_u8(struct reader *r);
uint16_t reader_le16(struct reader *r);
uint32_t reader_le32(struct reader *r);
uint64_t reader_le64(struct reader *r);
uint16_t reader_be16(struct reader *r);
uint32_t reader_be32(struct reader *r);
void reader_skip(struct reader *r, size_t n);

struct buffer {
	uint8_t *data; /* owned; always followed by a NUL byte when not NULL */
	size_t size;   /* bytes in use */
	size_t room;   /* bytes allocated */
	size_t limit;  /* most bytes to hold; 0: SIZE_MAX/2 */
	bool failed;
};

#define BUFFER_INIT                                                                                \
	{                                                                                          \
		0                                                                                  \
	}

void buffer_free(struct buffer *b);
#define _cleanup_buffer_ __attribute__((cleanup(buffer_free)))
void buffer_clear(struct buffer *b); /* size = 0, failed = false, memory kept */

/* Room for n more bytes; returns where they go, or NULL (and failed). Does
 * not move `size`: add what was written to it. */
uint8_t *buffer_reserve(struct buffer *b, size_t n);
void buffer_append(struct buffer *b, const void *data, size_t n);
void buffer_fill(struct buffer *b, uint8_t byte, size_t n);
void buffer_str(struct buffer *b, const char *s);
void buffer_printf(struct buffer *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buffer_vprintf(struct buffer *b, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
void buffer_le16(struct buffer *b, uint16_t v);
void buffer_le32(struct buffer *b, uint32_t v);
void buffer_le64(struct buffer *b, uint64_t v);
void buffer_be16(struct buffer *b, uint16_t v);
void buffer_be32(struct buffer *b, uint32_t v);

/* Appends s as the inside of a JSON string (no quotes): control characters
 * and bytes that are not UTF-8 are escaped, the latter as U+FFFD. */
void buffer_json_escape(struct buffer *b, const char *s, size_t n);
/* Appends "s" with quotes. */
void buffer_json_string(struct buffer *b, const char *s);

/* Hands the memory over (NUL-terminated); NULL when failed. */
char *buffer_steal(struct buffer *b);
/* The text so far, "" when empty. Valid until the next append. */
const char *buffer_cstr(const struct buffer *b);

static inline uint16_t get_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t get_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t get_le64(const uint8_t *p)
{
	return (uint64_t)get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}

static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24;
}

static inline void put_le16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void put_le32(uint8_t *p, uint32_t v)
{
	put_le16(p, (uint16_t)v);
	put_le16(p + 2, (uint16_t)(v >> 16));
}

static inline void put_le64(uint8_t *p, uint64_t v)
{
	put_le32(p, (uint32_t)v);
	put_le32(p + 4, (uint32_t)(v >> 32));
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* Rounds v up to a multiple of the power of two `a`; false on overflow. */
static inline bool align_up64(uint64_t v, uint64_t a, uint64_t *out)
{
	uint64_t t;

	if (__builtin_add_overflow(v, a - 1, &t))
		return false;
	*out = t & ~(a - 1);
	return true;
}
