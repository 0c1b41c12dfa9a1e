/* SPDX-License-Identifier: Apache-2.0 */
/* intern: SipHash and the table of kept strings. */
#include "lib/erofs/intern.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

void hash_key_init(struct hash_key *key)
{
	/* The loader's sixteen random bytes also seed the stack protector; SipHash does
	 * not give its key away. */
	const void *random = (const void *)getauxval(AT_RANDOM);

	*key = (struct hash_key){0x6b69686f6e5f6b30u, 0x6b69686f6e5f6b31u};
	if (random)
		memcpy(key, random, sizeof(*key));
}

static uint64_t rotl(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
}

uint32_t intern_hash(const struct hash_key *key, uint64_t tweak, const void *data, size_t size)
{
	const uint8_t *p = data;
	uint64_t v[4] = {
	    key->k0 ^ 0x736f6d6570736575u,
	    key->k1 ^ 0x646f72616e646f6du,
	    key->k0 ^ 0x6c7967656e657261u,
	    key->k1 ^ 0x7465646279746573u,
	};
	uint64_t m;

	sip_word(v, tweak);
	for (size_t left = size; left >= 8; left -= 8, p += 8) {
		memcpy(&m, p, 8);
		sip_word(v, m);
	}
	m = 0;
	if (size & 7)
		memcpy(&m, p, size & 7);
	sip_word(v, m | (uint64_t)size << 56);
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	m = v[0] ^ v[1] ^ v[2] ^ v[3];
	return (uint32_t)(m ^ m >> 32);
}

void *table_bigger(struct arena *a, size_t n_buckets, size_t *n_new)
{
	size_t n = n_buckets ? n_buckets * 2 : 64, size = n * sizeof(void *);
	void *table = NULL;

	if (n <= SIZE_MAX / 4 / sizeof(void *) && (!a->limit || a->used + size <= a->limit))
		table = calloc(1, size);
	if (!table) {
		a->failed = true;
		return NULL;
	}
	a->used += size;
	*n_new = n;
	return table;
}

void table_free(struct arena *a, void *table, size_t n_buckets)
{
	if (table)
		a->used -= n_buckets * sizeof(void *);
	free(table);
}

static bool intern_grow(struct intern *t, struct arena *a)
{
	size_t n;
	struct interned **table = table_bigger(a, t->n_buckets, &n);

	if (!table)
		return false;
	for (size_t i = 0; i < t->n_buckets; i++) {
		struct interned *s = t->buckets[i];

		while (s) {
			struct interned *next = s->chain;

			s->chain = table[s->hash & (n - 1)];
			table[s->hash & (n - 1)] = s;
			s = next;
		}
	}
	table_free(a, t->buckets, t->n_buckets);
	t->buckets = table;
	t->n_buckets = n;
	return true;
}

struct interned *intern_get(struct intern *t, struct arena *a, const struct hash_key *key,
                            const void *bytes, size_t size)
{
	uint32_t hash = intern_hash(key, 0, bytes, size);
	struct interned *s, **bucket;

	if (size > UINT32_MAX)
		return NULL;
	for (s = t->n ? t->buckets[hash & (t->n_buckets - 1)] : NULL; s; s = s->chain)
		if (s->hash == hash && s->size == size && memcmp(s->bytes, bytes, size) == 0)
			return s;
	if (t->n >= t->n_buckets && !intern_grow(t, a))
		return NULL;
	s = arena_alloc(a, sizeof(*s) + size);
	if (!s)
		return NULL;
	s->hash = hash;
	s->size = (uint32_t)size;
	memcpy(s->bytes, bytes, size);
	bucket = &t->buckets[hash & (t->n_buckets - 1)];
	s->chain = *bucket;
	*bucket = s;
	t->n++;
	return s;
}

void intern_free(struct intern *t)
{
	free(t->buckets);
	*t = (struct intern){0};
}
