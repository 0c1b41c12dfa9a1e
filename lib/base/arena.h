/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena: many small allocations with one owner, given back together.
 *
 * Nothing is freed one by one. After a failed allocation `failed` stays set,
 * so a builder may check once at the end; every call reports it too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* newest first */
	size_t used;                /* bytes taken from the system */
	size_t limit;               /* most bytes to take; 0: no limit */
	bool failed;
};

#define ARENA_INIT                                                                                 \
	{                                                                                          \
		0                                                                                  \
	}

static inline struct arena arena_init(size_t limit)
{
	return (struct arena){NULL, 0, limit, false};
}

/* Zeroed and aligned for any type; NULL (and failed) on a full memory or past the limit. */
void *arena_alloc(struct arena *a, size_t size);
/* n elements of `size` bytes; an overflowing product fails. n == 0 gives a valid pointer. */
void *arena_array(struct arena *a, size_t n, size_t size);
/* Copies; NULL for NULL, which is not a failure. */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Gives back what was handed out, and keeps some memory for the next use and the limit. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);
#define _cleanup_arena_ __attribute__((cleanup(arena_free)))

#define arena_new(a, type)          ((type *)arena_alloc((a), sizeof(type)))
#define arena_new_array(a, n, type) ((type *)arena_array((a), (n), sizeof(type)))
