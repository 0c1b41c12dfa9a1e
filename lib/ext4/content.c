/* SPDX-License-Identifier: Apache-2.0 */
/* content: looks for pieces of files that are all zeros. */
#include "lib/ext4/content.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* So much of a piece says for nearly every one that it has content. */
#define HEAD 64u

int content_read(struct content *c, const struct erofs_stat *st, void *buf, size_t size,
                 uint64_t offset, struct error *err)
{
	uint8_t *p = buf;

	if (c->interrupted && c->interrupted())
		return error_set(err, EINTR, "interrupted");
	while (size > 0) {
		ssize_t n = erofs_pread(c->image, st, p, size, offset, err);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return error_set_kind(err, ERROR_INPUT, EUCLEAN,
			                      "the source of an ext4 image ends early");
		p += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

static bool all_zero(const uint8_t *p, size_t size)
{
	return p[0] == 0 && memcmp(p, p + 1, size - 1) == 0;
}

static uint64_t piece_end(const struct erofs_stat *st, uint64_t at)
{
	return st->size - at < CONTENT_PIECE ? st->size : at + CONTENT_PIECE;
}

/* 1: the piece that begins there is a hole. */
static int is_hole(struct content *c, const struct erofs_stat *st, uint64_t at, struct error *err)
{
	size_t size = (size_t)(piece_end(st, at) - at), head = size < HEAD ? size : HEAD;
	int r;

	if (st->size < CONTENT_PIECE)
		return 0;
	r = content_read(c, st, c->buf, head, at, err);
	if (r < 0 || !all_zero(c->buf, head))
		return r;
	r = content_read(c, st, c->buf, size, at, err);
	return r < 0 ? r : all_zero(c->buf, size);
}

/* Whole pieces of holes that need not be read. */
static int skip(struct content *c, const struct erofs_stat *st, uint64_t *at, struct error *err)
{
	uint64_t next = *at;
	int r = *at < st->size ? erofs_skip_hole(c->image, st, *at, &next, err) : 0;

	if (next > *at)
		*at = next < st->size ? next - next % CONTENT_PIECE : st->size;
	return r;
}

int content_next(struct content *c, const struct erofs_stat *st, struct content_range *range,
                 struct error *err)
{
	uint64_t at = range->end;
	int hole = 1;

	while (at < st->size && (hole = is_hole(c, st, at, err)) > 0) {
		int r;

		at = piece_end(st, at);
		r = skip(c, st, &at, err);
		if (r < 0)
			return r;
	}
	range->start = at;
	while (at < st->size && (hole = is_hole(c, st, at, err)) == 0)
		at = piece_end(st, at);
	range->end = at;
	return hole < 0 ? hole : range->start < range->end;
}
