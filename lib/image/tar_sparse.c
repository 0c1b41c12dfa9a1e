/* SPDX-License-Identifier: Apache-2.0 */
/* tar_sparse: see the header; the layouts are those of the GNU tar manual, "Sparse Formats". */
#include "lib/image/tar_sparse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int broken(struct error *err)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "the map of a sparse file is broken");
}

void tar_sparse_clear(struct tar_sparse *s)
{
	*s = (struct tar_sparse){.v = s->v, .room = s->room};
}

void tar_sparse_free(struct tar_sparse *s)
{
	free(s->v);
	*s = (struct tar_sparse){0};
}

int tar_sparse_add(struct tar_sparse *s, uint64_t offset, uint64_t size, struct error *err)
{
	if (s->n == TAR_SPARSE_MAX)
		return error_set_kind(err, ERROR_INPUT, E2BIG,
		                      "a sparse file of more than %d pieces", TAR_SPARSE_MAX);
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 16;
		struct tar_piece *v = reallocarray(s->v, room, sizeof(*v));

		if (!v)
			return error_set(err, ENOMEM, "out of memory");
		s->v = v;
		s->room = room;
	}
	s->v[s->n++] = (struct tar_piece){offset, size};
	return 0;
}

/* `count` pairs of 12-byte numbers; an empty one ends them. */
static int read_pairs(struct tar_sparse *s, const uint8_t *p, size_t count, struct error *err)
{
	for (; count && p[0]; count--, p += 24) {
		int64_t offset, size;
		int r;

		if (tar_number(p, 12, &offset) || tar_number(p + 12, 12, &size) || offset < 0 ||
		    size < 0)
			return broken(err);
		r = tar_sparse_add(s, (uint64_t)offset, (uint64_t)size, err);
		if (r)
			return r;
	}
	return 0;
}

int tar_sparse_gnu_header(struct tar_sparse *s, const uint8_t block[TAR_BLOCK], bool *more,
                          struct error *err)
{
	int64_t real;

	if (tar_number(block + 483, 12, &real) || real < 0)
		return broken(err);
	s->real_size = (uint64_t)real;
	*more = block[482];
	return read_pairs(s, block + 386, 4, err);
}

int tar_sparse_gnu_block(struct tar_sparse *s, const uint8_t block[TAR_BLOCK], bool *more,
                         struct error *err)
{
	*more = block[504];
	return read_pairs(s, block, 21, err);
}

/* Decimal digits up to `end`, which is passed. */
static const uint8_t *decimal(const uint8_t *p, const uint8_t *limit, char end, uint64_t *out)
{
	uint64_t v = 0;
	const uint8_t *from = p;

	for (; p < limit && *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return NULL;
	*out = v;
	return p > from && p < limit && *p == (uint8_t)end ? p + 1 : NULL;
}

int tar_sparse_text(struct tar_sparse *s, const char *text, struct error *err)
{
	const uint8_t *p = (const uint8_t *)text, *end = p + strlen(text) + 1;

	while (p && p < end && *p) {
		uint64_t offset, size;
		const uint8_t *next;
		int r;

		p = decimal(p, end, ',', &offset);
		if (!p)
			return broken(err);
		next = decimal(p, end, ',', &size);
		p = next ? next : decimal(p, end, '\0', &size);
		if (!p)
			return broken(err);
		r = tar_sparse_add(s, offset, size, err);
		if (r)
			return r;
		if (!next)
			break;
	}
	return 0;
}

int tar_sparse_lines(struct tar_sparse *s, const uint8_t *p, size_t n, struct error *err)
{
	const uint8_t *end = p + n;
	uint64_t count;

	for (; s->scanned < n && (!s->want || s->lines < s->want); s->scanned++) {
		uint8_t c = p[s->scanned];

		if (c != '\n' && (c < '0' || c > '9'))
			return broken(err);
		if (c != '\n' || s->lines++)
			continue;
		if (!decimal(p, end, '\n', &count) || count > TAR_SPARSE_MAX)
			return broken(err);
		s->want = 1 + 2 * count;
	}
	if (!s->want || s->lines < s->want)
		return 1;
	p = decimal(p, end, '\n', &count);
	while (p && count--) {
		uint64_t offset, size;
		int r;

		p = decimal(p, end, '\n', &offset);
		p = p ? decimal(p, end, '\n', &size) : NULL;
		if (!p)
			return broken(err);
		r = tar_sparse_add(s, offset, size, err);
		if (r)
			return r;
	}
	return p ? 0 : broken(err);
}

int tar_sparse_check(const struct tar_sparse *s, uint64_t stored, struct error *err)
{
	uint64_t at = 0, sum = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct tar_piece *piece = &s->v[i];

		if (piece->offset < at || __builtin_add_overflow(piece->offset, piece->size, &at) ||
		    at > s->real_size)
			return broken(err);
		sum += piece->size; /* cannot overflow: the pieces are apart */
	}
	return sum == stored ? 0 : broken(err);
}
