/* SPDX-License-Identifier: Apache-2.0 */
/* intern: byte strings that are kept once, and the hash that names are found by. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"

/* SipHash-1-3: names come from strangers, who must not choose collisions. The key is
 * the process's own (AT_RANDOM). */
struct hash_key {
	uint64_t k0, k1;
};
void hash_key_init(struct hash_key *key);
uint32_t intern_hash(const struct hash_key *key, uint64_t tweak, const void *data, size_t size);

/* One kept byte string, and what its users note on it. */
struct interned {
	struct interned *chain;
	struct interned *next; /* the user's */
	uint32_t hash;
	uint32_t size;
	uint32_t refs;  /* the user's */
	uint32_t place; /* the user's */
	uint8_t bytes[];
};

struct intern {
	struct interned **buckets;
	size_t n_buckets; /* a power of two, or 0 */
	size_t n;
};

/* The string in the table, added when it was not there. NULL as arena_alloc(). */
struct interned *intern_get(struct intern *t, struct arena *a, const struct hash_key *key,
                            const void *bytes, size_t size);
void intern_free(struct intern *t);

/* A zeroed table of pointers, twice as large as one of n_buckets (0: the first), counted
 * as the arena's memory; NULL as arena_alloc(). The caller moves the entries. */
void *table_bigger(struct arena *a, size_t n_buckets, size_t *n_new);
/* Frees a table of n_buckets and counts it out. */
void table_free(struct arena *a, void *table, size_t n_buckets);
