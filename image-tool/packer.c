/* SPDX-License-Identifier: Apache-2.0 */
/* packer: zlib, libzstd and liblz4 behind one pair of functions. */
#include "image-tool/packer.h"

#include <errno.h>
#include <lz4.h>
#include <lz4hc.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"

#define CHUNK 65536
/* Blocks may have up to 8 MiB; ones of 1 MiB pack as well, for LZ4 looks back 64 KiB. */
#define LZ4_BLOCK        (1u << 20)
#define LZ4_LEGACY_MAGIC 0x184c2102u
/* What bounds zstd's memory, whatever its level: a window of 2 MiB, tables of 2^18 places. */
#define ZSTD_WINDOW_LOG 21
#define ZSTD_TABLE_LOG  18

struct method;

struct packer {
	const struct method *method;
	unsigned int level;
	int fd;
	z_stream z;
	ZSTD_CCtx *zstd;
	void *lz4_state;
	uint8_t *block; /* of LZ4, being filled */
	size_t used;
	uint8_t *out; /* owned; out_size bytes */
	size_t out_size;
};

struct method {
	const char *name;
	int (*begin)(struct packer *p, struct error *err);
	/* `last`: nothing comes after. */
	int (*put)(struct packer *p, const void *data, size_t size, bool last, struct error *err);
};

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory to write the initrd");
}

static int emit(struct packer *p, const void *data, size_t size, struct error *err)
{
	int r = fs_write_all(p->fd, data, size);

	if (r == 0)
		return 0;
	error_errno(err, -r, "cannot write the initrd");
	if (err)
		err->kind = ERROR_ENVIRONMENT;
	return r;
}

static int make_room(struct packer *p, size_t size, struct error *err)
{
	p->out = malloc(size);
	p->out_size = size;
	return p->out ? 0 : no_memory(err);
}

/* ---------------------------------------------------------------- none */

static int none_begin(struct packer *p, struct error *err)
{
	return 0;
}

static int none_put(struct packer *p, const void *data, size_t size, bool last, struct error *err)
{
	return emit(p, data, size, err);
}

/* ---------------------------------------------------------------- gzip */

static int gzip_begin(struct packer *p, struct error *err)
{
	/* 15 + 16: a gzip frame. zlib leaves its time 0, as it should be here. */
	if (deflateInit2(&p->z, (int)p->level, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK)
		return no_memory(err);
	return make_room(p, CHUNK, err);
}

static int gzip_put(struct packer *p, const void *data, size_t size, bool last, struct error *err)
{
	int z, r = 0;

	p->z.next_in = (uint8_t *)(uintptr_t)data;
	p->z.avail_in = (unsigned int)size;
	do {
		p->z.next_out = p->out;
		p->z.avail_out = (unsigned int)p->out_size;
		z = deflate(&p->z, last ? Z_FINISH : Z_NO_FLUSH);
		r = emit(p, p->out, p->out_size - p->z.avail_out, err);
	} while (r == 0 && p->z.avail_out == 0 && z == Z_OK);
	return r;
}

/* ---------------------------------------------------------------- zstd */

static int zstd_begin(struct packer *p, struct error *err)
{
	const struct {
		ZSTD_cParameter name;
		unsigned int value;
	} params[] = {
	    {ZSTD_c_compressionLevel, p->level},
	    {ZSTD_c_windowLog, ZSTD_WINDOW_LOG},
	    {ZSTD_c_hashLog, ZSTD_TABLE_LOG},
	    {ZSTD_c_chainLog, ZSTD_TABLE_LOG},
	    {ZSTD_c_checksumFlag, 1},
	};

	p->zstd = ZSTD_createCCtx();
	for (size_t i = 0; i < sizeof(params) / sizeof(*params); i++)
		if (!p->zstd || ZSTD_isError(ZSTD_CCtx_setParameter(p->zstd, params[i].name,
		                                                    (int)params[i].value)))
			return no_memory(err);
	return make_room(p, ZSTD_CStreamOutSize(), err);
}

static int zstd_put(struct packer *p, const void *data, size_t size, bool last, struct error *err)
{
	ZSTD_inBuffer in = {data, size, 0};
	size_t left;
	int r = 0;

	do {
		ZSTD_outBuffer out = {p->out, p->out_size, 0};

		left =
		    ZSTD_compressStream2(p->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return error_set(err, EIO, "cannot pack the initrd: %s",
			                 ZSTD_getErrorName(left));
		r = emit(p, p->out, out.pos, err);
	} while (r == 0 && (last ? left > 0 : in.pos < in.size));
	return r;
}

/* ---------------------------------------------------------------- LZ4 */

/* Documentation of the legacy frame: lz4_Frame_format.md, "Legacy frame": the magic number, then
 * blocks, each behind its packed size. */
static int lz4_begin(struct packer *p, struct error *err)
{
	uint8_t magic[4];
	int r = make_room(p, 4 + (size_t)LZ4_compressBound(LZ4_BLOCK), err);

	p->block = malloc(LZ4_BLOCK);
	p->lz4_state = malloc((size_t)LZ4_sizeofStateHC());
	if (r < 0 || !p->block || !p->lz4_state)
		return no_memory(err);
	put_le32(magic, LZ4_LEGACY_MAGIC);
	return emit(p, magic, sizeof(magic), err);
}

static int lz4_flush(struct packer *p, struct error *err)
{
	int n = LZ4_compress_HC_extStateHC(p->lz4_state, (const char *)p->block, (char *)p->out + 4,
	                                   (int)p->used, (int)p->out_size - 4, (int)p->level);

	p->used = 0;
	if (n <= 0)
		return error_set(err, EIO, "cannot pack the initrd");
	put_le32(p->out, (uint32_t)n);
	return emit(p, p->out, 4 + (size_t)n, err);
}

static int lz4_put(struct packer *p, const void *data, size_t size, bool last, struct error *err)
{
	const uint8_t *from = data;
	int r = 0;

	while (r == 0 && size > 0) {
		size_t n = LZ4_BLOCK - p->used < size ? LZ4_BLOCK - p->used : size;

		memcpy(p->block + p->used, from, n);
		p->used += n;
		from += n;
		size -= n;
		if (p->used == LZ4_BLOCK)
			r = lz4_flush(p, err);
	}
	return r == 0 && last && p->used > 0 ? lz4_flush(p, err) : r;
}

/* ---------------------------------------------------------------- all */

static const struct method methods[] = {
    {"none", none_begin, none_put},
    {"gzip", gzip_begin, gzip_put},
    {"zstd", zstd_begin, zstd_put},
    {"lz4", lz4_begin, lz4_put},
};

int packer_new(struct packer **out, const struct compression *how, int fd, struct error *err)
{
	_cleanup_packer_ struct packer *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return no_memory(err);
	p->fd = fd;
	p->level = how->level;
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (strcmp(methods[i].name, how->method) == 0)
			p->method = &methods[i];
	if (!p->method)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "no initrd is packed with %s",
		                      how->method);
	r = p->method->begin(p, err);
	if (r == 0)
		*out = steal_ptr(&p);
	return r;
}

void packer_free(struct packer *p)
{
	if (!p)
		return;
	deflateEnd(&p->z);
	ZSTD_freeCCtx(p->zstd);
	free(p->lz4_state);
	free(p->block);
	free(p->out);
	free(p);
}

int packer_write(struct packer *p, const void *data, size_t size, struct error *err)
{
	return size > 0 ? p->method->put(p, data, size, false, err) : 0;
}

int packer_finish(struct packer *p, struct error *err)
{
	return p->method->put(p, "", 0, true, err);
}
