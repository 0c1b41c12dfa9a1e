/* SPDX-License-Identifier: Apache-2.0 */
/* dedupe: see the header. */
#include "lib/image/dedupe.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define KEPT         16u /* bytes of a digest */
#define CHUNK_BLOCKS (EROFS_CHUNK_SIZE / EROFS_BLOCK_SIZE)

struct seen {
	uint8_t digest[KEPT];
	uint32_t block;
	uint32_t next; /* of the same bucket: its place + 1, 0 for none */
	uint64_t file; /* size of the file that is one run from here; 0 when none is */
};

struct dedupe {
	struct erofs_writer *writer;
	EVP_MD_CTX *ctx;
	struct seen *seen; /* owned */
	size_t n, room;
	uint32_t *buckets; /* owned; place + 1 of the first */
	size_t n_buckets;  /* a power of two */

	/* The file at hand. */
	uint64_t size, came;
	uint32_t *map; /* owned; block of each piece so far */
	size_t n_map, map_room;
	size_t first; /* place + 1 of its first piece in `seen` */
	uint64_t run; /* bytes in the run that the writer has open */
	bool open;    /* there is one */
	bool split;   /* some piece was seen before */
	size_t have;
	uint8_t piece[EROFS_CHUNK_SIZE];
};

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

int dedupe_new(struct erofs_writer *writer, struct dedupe **out, struct error *err)
{
	_cleanup_dedupe_ struct dedupe *d = calloc(1, sizeof(*d));

	if (d)
		d->ctx = EVP_MD_CTX_new();
	if (!d || !d->ctx)
		return no_memory(err);
	d->writer = writer;
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
	free(d->map);
	free(d);
}

/* ---- what was seen */

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
		return no_memory(err);
	d->seen = seen;
	d->room = room;
	while (n_buckets < room)
		n_buckets = n_buckets ? 2 * n_buckets : 256;
	if (n_buckets == d->n_buckets)
		return 0;
	buckets = calloc(n_buckets, sizeof(*buckets));
	if (!buckets)
		return no_memory(err);
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

/* Its place + 1, or 0. */
static size_t find(const struct dedupe *d, const uint8_t *digest)
{
	uint32_t i = d->n ? d->buckets[bucket_of(d, digest)] : 0;

	while (i && memcmp(d->seen[i - 1].digest, digest, KEPT) != 0)
		i = d->seen[i - 1].next;
	return i;
}

static int remember(struct dedupe *d, const uint8_t *digest, uint32_t block, struct error *err)
{
	int r = d->n == d->room ? grow(d, err) : 0;
	uint32_t *head;

	if (r)
		return r;
	head = &d->buckets[bucket_of(d, digest)];
	d->seen[d->n] = (struct seen){.block = block, .next = *head};
	memcpy(d->seen[d->n].digest, digest, KEPT);
	*head = (uint32_t)++d->n;
	return 0;
}

/* ---- a file */

int dedupe_begin(struct dedupe *d, uint64_t size, struct error *err)
{
	d->size = size;
	d->came = d->run = 0;
	d->n_map = d->have = d->first = 0;
	d->split = false;
	d->open = true;
	return erofs_writer_data_start(d->writer, size, err);
}

static int end_run(struct dedupe *d, struct error *err)
{
	struct erofs_extent extent;

	if (!d->open)
		return 0;
	d->open = false;
	if (!d->run)
		return erofs_writer_data_abort(d->writer, err);
	erofs_writer_data_cut(d->writer);
	return erofs_writer_data_end(d->writer, &extent, err);
}

static int add_to_map(struct dedupe *d, uint32_t block, struct error *err)
{
	if (d->n_map == d->map_room) {
		size_t room = d->map_room ? 2 * d->map_room : 64;
		uint32_t *map = reallocarray(d->map, room, sizeof(*map));

		if (!map)
			return no_memory(err);
		d->map = map;
		d->map_room = room;
	}
	d->map[d->n_map++] = block;
	return 0;
}

static int store_piece(struct dedupe *d, const uint8_t *digest, struct error *err)
{
	uint32_t block;
	int r = 0;

	if (!d->open) {
		r = erofs_writer_data_start(d->writer, EROFS_SIZE_UNKNOWN, err);
		d->open = true;
		d->run = 0;
	}
	if (r)
		return r;
	block = erofs_writer_data_block(d->writer) + (uint32_t)(d->run / EROFS_BLOCK_SIZE);
	r = erofs_writer_data(d->writer, d->piece, d->have, err);
	d->run += d->have;
	if (!r)
		r = remember(d, digest, block, err);
	if (!r && !d->n_map)
		d->first = d->n;
	return r ? r : add_to_map(d, block, err);
}

static int end_piece(struct dedupe *d, struct error *err)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	size_t known;
	int r;

	if (!EVP_Digest(d->piece, d->have, digest, NULL, EVP_sha256(), NULL))
		return error_set(err, EIO, "the hash function failed (OpenSSL)");
	known = find(d, digest);
	if (!known) {
		r = store_piece(d, digest, err);
	} else {
		r = end_run(d, err);
		d->split = true;
		if (!d->n_map)
			d->first = known;
		if (!r)
			r = add_to_map(d, d->seen[known - 1].block, err);
	}
	d->have = 0;
	return r;
}

int dedupe_feed(struct dedupe *d, const uint8_t *p, uint64_t n, struct error *err)
{
	if (n > d->size - d->came)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "more content than the %llu bytes announced",
		                      (unsigned long long)d->size);
	d->came += n;
	while (n) {
		size_t room = sizeof(d->piece) - d->have, part = n < room ? (size_t)n : room;
		int r;

		if (p)
			memcpy(d->piece + d->have, p, part);
		else
			memset(d->piece + d->have, 0, part);
		d->have += part;
		p = p ? p + part : NULL;
		n -= part;
		r = d->have == sizeof(d->piece) ? end_piece(d, err) : 0;
		if (r)
			return r;
	}
	return 0;
}

/* All pieces follow one another, and no file has a part of them only: two that share blocks must
 * share all of them, or be chunked. */
static bool is_run(const struct dedupe *d)
{
	for (size_t i = 1; i < d->n_map; i++)
		if (d->map[i] != d->map[0] + i * CHUNK_BLOCKS)
			return false;
	return !d->split || d->seen[d->first - 1].file == d->size;
}

int dedupe_end(struct dedupe *d, struct erofs_tree *tree, struct erofs_node *node,
               struct error *err)
{
	struct erofs_extent extent = {0, d->size};
	int r = d->have ? end_piece(d, err) : 0;

	if (!r && d->came != d->size)
		r = error_set_kind(err, ERROR_INPUT, ENODATA,
		                   "content ends after %llu of %llu bytes",
		                   (unsigned long long)d->came, (unsigned long long)d->size);
	if (!r)
		r = end_run(d, err);
	if (r)
		return r;
	if (!is_run(d))
		return erofs_node_set_chunks(tree, node, d->map, d->n_map, d->size, err);
	d->seen[d->first - 1].file = d->size;
	extent.block = d->map[0];
	return erofs_node_set_extent(tree, node, &extent, err);
}
