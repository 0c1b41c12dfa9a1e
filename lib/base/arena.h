/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena: memory that is given out piece by piece and taken back at once.
 *
 * What one request needs, bounded: past `limit` bytes an allocation fails and
 * the request is answered with an error, however its bytes were arranged.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* owned, newest first */
	size_t used;                /* bytes taken from the system */
	size_t limit;               /* most bytes to take */
};

static inline struct arena arena_init(size_t limit)
{
	return (struct arena){NULL, 0, limit};
}

/* Aligned for any type, not zeroed; NULL past the limit or on a full memory. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_zalloc(struct arena *a, size_t size);
/* n * size zeroed bytes; NULL on overflow too. */
void *arena_array(struct arena *a, size_t n, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Takes everything back; the arena can be used again. */
void arena_free(struct arena *a);
#define _cleanup_arena_ __attribute__((cleanup(arena_free)))
