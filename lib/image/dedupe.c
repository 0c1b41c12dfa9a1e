/* SPDX-License-Identifier: Apache-2.0 */
/* dedupe: see the header. */
#include "lib/image/dedupe.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define KEPT 16u /* bytes of a digest */

struct seen {
	uint8_t digest[KEPT];
	uint32_t block;
	uint32_t next; /* of the same bucket: its place + 1, 0 for none */
};

struct dedupe {
	EVP_MD_CTX *ctx;
	uint8_t last[EVP_MAX_MD_SIZE]; /* digest that dedupe_end() came to */
	struct seen *seen;             /* owned */
	size_t n, room;
	uint32_t *buckets; /* owned; place + 1 of the first */
	size_t n_buckets;  /* a power of two */
};

int dedupe_new(struct dedupe **out, struct error *err)
{
	_cleanup_dedupe_ struct dedupe *d = calloc(1, sizeof(*d));

	if (d)
		d->ctx = EVP_MD_CTX_new();
	if (!d || !d->ctx)
		return error_set(err, ENOMEM, "out of memory");
	*out = steal_ptr(&d);
	return 0;
}

void dedupe_free(struct dedupe *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->ctx);
	free(d->seen);
	free(d->buckets);
	free(d);
}

static int broken(struct error *err)
{
	return error_set(err, EIO, "the hash function failed (OpenSSL)");
}

int dedupe_begin(struct dedupe *d, struct error *err)
{
	return EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL) ? 0 : broken(err);
}

int dedupe_feed(struct dedupe *d, const uint8_t *p, uint64_t n, struct error *err)
{
	static const uint8_t zeros[4096];

	if (p)
		return EVP_DigestUpdate(d->ctx, p, (size_t)n) ? 0 : broken(err);
	while (n) {
		size_t part = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);

		if (!EVP_DigestUpdate(d->ctx, zeros, part))
			return broken(err);
		n -= part;
	}
	return 0;
}

/* SHA-256 spreads its bits evenly: some of them are the hash. */
static size_t bucket_of(const struct dedupe *d, const uint8_t *digest)
{
	uint32_t v;

	memcpy(&v, digest, sizeof(v));
	return v & (d->n_buckets - 1);
}

static int grow(struct dedupe *d, struct error *err)
{
	size_t room = d->room ? d->room + d->room / 2 : 256, n_buckets = d->n_buckets;
	struct seen *seen = reallocarray(d->seen, room, sizeof(*seen));
	uint32_t *buckets;

	if (!seen)
		return error_set(err, ENOMEM, "out of memory");
	d->seen = seen;
	d->room = room;
	while (n_buckets < room)
		n_buckets = n_buckets ? 2 * n_buckets : 256;
	if (n_buckets == d->n_buckets)
		return 0;
	buckets = calloc(n_buckets, sizeof(*buckets));
	if (!buckets)
		return error_set(err, ENOMEM, "out of memory");
	free(d->buckets);
	d->buckets = buckets;
	d->n_buckets = n_buckets;
	for (size_t i = 0; i < d->n; i++) {
		uint32_t *head = &d->buckets[bucket_of(d, d->seen[i].digest)];

		d->seen[i].next = *head;
		*head = (uint32_t)(i + 1);
	}
	return 0;
}

int dedupe_end(struct dedupe *d, uint32_t *block, struct error *err)
{
	if (!EVP_DigestFinal_ex(d->ctx, d->last, NULL))
		return broken(err);
	if (!d->n)
		return 1;
	for (uint32_t i = d->buckets[bucket_of(d, d->last)]; i; i = d->seen[i - 1].next)
		if (!memcmp(d->seen[i - 1].digest, d->last, KEPT)) {
			*block = d->seen[i - 1].block;
			return 0;
		}
	return 1;
}

int dedupe_place(struct dedupe *d, uint32_t block, struct error *err)
{
	int r = d->n == d->room ? grow(d, err) : 0;
	uint32_t *head;

	if (r)
		return r;
	head = &d->buckets[bucket_of(d, d->last)];
	d->seen[d->n] = (struct seen){.block = block, .next = *head};
	memcpy(d->seen[d->n].digest, d->last, KEPT);
	*head = (uint32_t)++d->n;
	return 0;
}
