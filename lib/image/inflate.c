/* SPDX-License-Identifier: Apache-2.0 */
/* inflate: see the header. gzip by isa-l, the fastest there is; zstd by libzstd. */
#include "lib/image/inflate.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdbool.h>
#include <string.h>
#include <zstd.h>

#define OUT_SIZE (128 * 1024)
#define IN_MAX   (1u << 30) /* isa-l counts in 32 bits */
#define ZSTD_WINDOW_LOG_MAX                                                                        \
	27 /* 128 MiB: the largest that zstd writes without --ultra --long=31                      \
	    */

struct inflate {
	const struct codec *codec;
	inflate_fn fn;
	void *data;
	struct inflate_state *gzip;
	ZSTD_DCtx *zstd;
	uint8_t *out;
	bool begun;  /* a byte has come */
	bool inside; /* in the middle of a member or frame */
};

struct codec {
	const char *name;
	int (*start)(struct inflate *z);
	int (*feed)(struct inflate *z, const uint8_t *p, size_t n, struct error *err);
};

static int damaged(const struct inflate *z, const char *why, struct error *err)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "the %s stream is damaged: %s",
	                      z->codec->name, why);
}

/* ---- plain */

static int plain_start(struct inflate *z)
{
	(void)z;
	return 0;
}

static int plain_feed(struct inflate *z, const uint8_t *p, size_t n, struct error *err)
{
	return n ? z->fn(z->data, p, n, err) : 0;
}

/* ---- gzip */

static int gzip_start(struct inflate *z)
{
	z->gzip = malloc(sizeof(*z->gzip));
	z->out = malloc(OUT_SIZE);
	return z->gzip && z->out ? 0 : -ENOMEM;
}

static void gzip_member(struct inflate *z)
{
	isal_inflate_init(z->gzip);
	z->gzip->crc_flag = ISAL_GZIP;
	z->inside = true;
}

static const char *gzip_problem(int r)
{
	switch (r) {
	case ISAL_INVALID_WRAPPER:
		return "no gzip header where one should be";
	case ISAL_UNSUPPORTED_METHOD:
		return "an unknown method";
	case ISAL_INCORRECT_CHECKSUM:
		return "the checksum is wrong";
	default:
		return "impossible codes";
	}
}

static int gzip_feed(struct inflate *z, const uint8_t *p, size_t n, struct error *err)
{
	struct inflate_state *s = z->gzip;
	uint32_t left = (uint32_t)n;
	int r;

	for (;;) {
		size_t made;

		if (!z->inside) {
			if (!left)
				return 0;
			gzip_member(z);
		}
		s->next_in = (uint8_t *)p;
		s->avail_in = left;
		s->next_out = z->out;
		s->avail_out = OUT_SIZE;
		r = isal_inflate(s);
		if (r < 0)
			return damaged(z, gzip_problem(r), err);
		made = OUT_SIZE - s->avail_out;
		if (left && left == s->avail_in && !made && s->block_state != ISAL_BLOCK_FINISH)
			return damaged(z, "it goes nowhere", err);
		p = s->next_in;
		left = s->avail_in;
		if (made) {
			r = z->fn(z->data, z->out, made, err);
			if (r)
				return r;
		}
		if (s->block_state == ISAL_BLOCK_FINISH) {
			z->inside = false;
		} else if (!left && s->avail_out) {
			return 0; /* nothing more to get out of what came */
		}
	}
}

/* ---- zstd */

static int zstd_start(struct inflate *z)
{
	z->zstd = ZSTD_createDCtx();
	z->out = malloc(OUT_SIZE);
	if (!z->zstd || !z->out ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(z->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)))
		return -ENOMEM;
	return 0;
}

static int zstd_feed(struct inflate *z, const uint8_t *p, size_t n, struct error *err)
{
	ZSTD_inBuffer in = {p, n, 0};
	ZSTD_outBuffer out;

	do {
		size_t r;

		out = (ZSTD_outBuffer){z->out, OUT_SIZE, 0};
		r = ZSTD_decompressStream(z->zstd, &out, &in);
		if (ZSTD_isError(r))
			return damaged(z, ZSTD_getErrorName(r), err);
		z->inside = r != 0;
		if (out.pos) {
			int e = z->fn(z->data, z->out, out.pos, err);

			if (e)
				return e;
		}
		/* A full output buffer may mean that more is waiting inside. */
	} while (in.pos < in.size || out.pos == out.size);
	return 0;
}

/* ---- all */

static const struct codec codecs[] = {
    [IMAGE_PLAIN] = {"plain", plain_start, plain_feed},
    [IMAGE_GZIP] = {"gzip", gzip_start, gzip_feed},
    [IMAGE_ZSTD] = {"zstd", zstd_start, zstd_feed},
};

int inflate_new(enum image_compression how, inflate_fn fn, void *data, struct inflate **out,
                struct error *err)
{
	_cleanup_inflate_ struct inflate *z = calloc(1, sizeof(*z));

	if (!z)
		return error_set(err, ENOMEM, "out of memory");
	z->codec = &codecs[how];
	z->fn = fn;
	z->data = data;
	if (z->codec->start(z))
		return error_set(err, ENOMEM, "out of memory for %s", z->codec->name);
	*out = steal_ptr(&z);
	return 0;
}

void inflate_free(struct inflate *z)
{
	if (!z)
		return;
	free(z->gzip);
	ZSTD_freeDCtx(z->zstd);
	free(z->out);
	free(z);
}

int inflate_feed(struct inflate *z, const uint8_t *p, size_t n, struct error *err)
{
	z->begun |= n > 0;
	while (n) {
		size_t part = n < IN_MAX ? n : IN_MAX;
		int r = z->codec->feed(z, p, part, err);

		if (r)
			return r;
		p += part;
		n -= part;
	}
	return 0;
}

int inflate_end(struct inflate *z, struct error *err)
{
	if (z->inside || (!z->begun && z->codec != &codecs[IMAGE_PLAIN]))
		return error_set_kind(err, ERROR_INPUT, ENODATA, "the %s stream ends in the middle",
		                      z->codec->name);
	return 0;
}
