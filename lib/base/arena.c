/* SPDX-License-Identifier: Apache-2.0 */
/* arena: chunks in a list; the newest is filled until a request does not fit. */
#include "lib/base/arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CHUNK 1000 /* most requests to the agent fit; thousands of them may wait */
#define CHUNK_SIZE  4000 /* with malloc's own words just below a page */

struct arena_chunk {
	struct arena_chunk *next;
	size_t used;
	size_t room;
	max_align_t data[];
};

static void *fail(struct arena *a)
{
	a->failed = true;
	return NULL;
}

static struct arena_chunk *add_chunk(struct arena *a, size_t size)
{
	size_t room = (a->chunks ? CHUNK_SIZE : FIRST_CHUNK) - sizeof(struct arena_chunk), total;
	struct arena_chunk *c;

	if (size > room)
		room = size;
	if (__builtin_add_overflow(room, sizeof(*c), &total))
		return NULL;
	c = calloc(1, total);
	if (!c)
		return NULL;
	c->room = room;
	/* A large request does not end the filling of the present chunk. */
	if (a->chunks && room - size < a->chunks->room - a->chunks->used) {
		c->next = a->chunks->next;
		a->chunks->next = c;
	} else {
		c->next = a->chunks;
		a->chunks = c;
	}
	return c;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_chunk *c = a->chunks;
	size_t need, used;
	void *p;

	if (__builtin_add_overflow(size, _Alignof(max_align_t) - 1, &need))
		return fail(a);
	need &= ~(_Alignof(max_align_t) - 1);
	if (__builtin_add_overflow(a->used, need, &used) || (a->limit && used > a->limit))
		return fail(a);
	if (!c || c->room - c->used < need)
		c = add_chunk(a, need);
	if (!c)
		return fail(a);
	p = (char *)c->data + c->used;
	c->used += need;
	a->used = used;
	return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		return fail(a);
	return arena_alloc(a, total ? total : 1);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p;

	if (!s)
		return NULL;
	if (n == SIZE_MAX)
		return fail(a);
	p = arena_alloc(a, n + 1);
	if (p)
		memcpy(p, s, n); /* the chunk is zeroed, so it is terminated */
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return fail(a);
	p = arena_alloc(a, (size_t)n + 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

void arena_reset(struct arena *a)
{
	struct arena_chunk *c;

	while (a->chunks && (a->chunks->next || a->chunks->room > CHUNK_SIZE)) {
		struct arena_chunk *next = a->chunks->next;

		free(a->chunks);
		a->chunks = next;
	}
	c = a->chunks;
	if (c) {
		memset(c->data, 0, c->used);
		c->used = 0;
	}
	a->used = 0;
	a->failed = false;
}

void arena_free(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *next = a->chunks->next;

		free(a->chunks);
		a->chunks = next;
	}
	*a = (struct arena)ARENA_INIT;
}
