/* SPDX-License-Identifier: Apache-2.0 */
/* compressed: clusters out of the image, through LZ4. */
#include "lib/erofs/compressed.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/erofs/image.h"

void run_cache_free(struct run_cache *cache)
{
	free(cache->run);
	free(cache->packed);
	*cache = (struct run_cache){0};
}

static int make_room(uint8_t **p, size_t *room, size_t size, struct error *err)
{
	uint8_t *more;

	if (size <= *room)
		return 0;
	more = realloc(*p, size);
	if (!more)
		return error_set(err, ENOMEM, "out of memory for reading an EROFS image");
	*p = more;
	*room = size;
	return 0;
}

/* The cluster's bytes; they stay until the next one is asked for. */
static int cluster_bytes(struct erofs_image *image, const struct cluster *cl, const uint8_t **out,
                         struct error *err)
{
	struct run_cache *cache = &image->runs;
	size_t size = (size_t)cl->blocks * EROFS_BLOCK_SIZE;
	uint64_t at = cl->block * EROFS_BLOCK_SIZE; /* clusters_find() saw that it is inside */
	int r;

	if (image->fd < 0) {
		*out = image->memory + at;
		return 0;
	}
	r = make_room(&cache->packed, &cache->packed_room, size, err);
	if (r < 0)
		return r;
	*out = cache->packed;
	r = fs_pread_all(image->fd, cache->packed, size, at);
	return r < 0 ? error_errno(err, -r, "cannot read the EROFS image at byte %llu",
	                           (unsigned long long)at)
	             : 0;
}

/* Linux finds the first byte that is not padding in the first block only. */
static size_t padding(const uint8_t *p)
{
	size_t n = 0;

	while (n < EROFS_BLOCK_SIZE && !p[n])
		n++;
	return n;
}

static int decompress(const struct erofs_image *image, const struct cluster *cl, const uint8_t *in,
                      uint8_t *out)
{
	size_t size = (size_t)cl->blocks * EROFS_BLOCK_SIZE;
	int length = (int)cl->length, n;

	if (image->super.feature_incompat & EROFS_INCOMPAT_ZERO_PADDING) {
		size_t skip = padding(in);

		n = skip < EROFS_BLOCK_SIZE
		        ? LZ4_decompress_safe((const char *)in + skip, (char *)out,
		                              (int)(size - skip), length)
		        : -1;
	} else {
		n = LZ4_decompress_safe_partial((const char *)in, (char *)out, (int)size, length,
		                                length);
	}
	return n == length ? 0 : -EUCLEAN;
}

/* Makes the cache hold the run. */
static int load_run(struct erofs_image *image, const struct erofs_stat *st,
                    const struct cluster *cl, struct error *err)
{
	struct run_cache *cache = &image->runs;
	const uint8_t *in = NULL;
	int r;

	if (cache->block == cl->block && cache->length == cl->length)
		return 0;
	cache->block = 0;
	r = cluster_bytes(image, cl, &in, err);
	if (r == 0)
		r = make_room(&cache->run, &cache->run_room, (size_t)cl->length, err);
	if (r < 0)
		return r;
	if (decompress(image, cl, in, cache->run) < 0)
		return image_damaged(err, "block %llu does not decompress to what inode %llu has",
		                     (unsigned long long)cl->block, (unsigned long long)st->nid);
	cache->block = cl->block;
	cache->length = cl->length;
	return 0;
}

/* `size` bytes from `skip` of the run on. */
static int copy_run(struct erofs_image *image, const struct erofs_stat *st,
                    const struct cluster *cl, uint64_t skip, uint8_t *buf, size_t size,
                    struct error *err)
{
	int r;

	if (cl->plain)
		return image_read(image, cl->block * EROFS_BLOCK_SIZE + skip, buf, size, err);
	r = load_run(image, st, cl, err);
	if (r == 0)
		memcpy(buf, image->runs.run + skip, size);
	return r;
}

int compressed_read(struct erofs_image *image, const struct erofs_stat *st, uint8_t *buf,
                    size_t size, uint64_t offset, struct error *err)
{
	struct clusters c;
	struct cluster cl;
	int r = clusters_open(&c, image, st, err);

	while (r == 0 && size) {
		uint64_t left;
		size_t n;

		r = clusters_find(&c, offset, &cl, err);
		if (r < 0)
			return r;
		left = cl.start + cl.length - offset;
		n = left < size ? (size_t)left : size;
		r = copy_run(image, st, &cl, offset - cl.start, buf, n, err);
		buf += n;
		offset += n;
		size -= n;
	}
	return r;
}

int compressed_check(struct erofs_image *image, const struct erofs_stat *st,
                     const struct cluster *cluster, struct error *err)
{
	return cluster->plain ? 0 : load_run(image, st, cluster, err);
}
