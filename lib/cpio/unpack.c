/* SPDX-License-Identifier: Apache-2.0 */
/* unpack: gzip and zstd through lib/image, LZ4's legacy frame through liblz4. */
#include "lib/cpio/unpack.h"

#include <errno.h>
#include <lz4.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"

#define LZ4_MAGIC 0x184c2102u
#define LZ4_BLOCK (8u << 20)
#define PIECE     (256u << 10) /* bytes read at a time */

static const struct method {
	const char *name;
	const char *magic;
	size_t size;
	enum image_compression how; /* of all but lz4 */
} methods[] = {
    {"none", "07070", 5, IMAGE_PLAIN},
    {"gzip", "\x1f\x8b", 2, IMAGE_GZIP},
    {"zstd", "\x28\xb5\x2f\xfd", 4, IMAGE_ZSTD},
    {"lz4", "\x02\x21\x4c\x18", 4, IMAGE_PLAIN},
};

static const struct method *find_method(const uint8_t *head, size_t n)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (n >= methods[i].size && memcmp(head, methods[i].magic, methods[i].size) == 0)
			return &methods[i];
	return NULL;
}

const char *unpack_method(const uint8_t *head, size_t n)
{
	const struct method *m = find_method(head, n);

	return m ? m->name : NULL;
}

/* A range of a file, read from its start to its end. */
struct source {
	int fd;
	uint64_t at, end;
};

static int take(struct source *s, void *to, size_t n, struct error *err)
{
	int r = s->end - s->at < n ? -ENODATA : fs_pread_all(s->fd, to, n, s->at);

	if (r == -ENODATA)
		return error_set_kind(err, ERROR_INPUT, EUCLEAN, "the initrd is cut short");
	if (r < 0)
		return error_errno(err, -r, "cannot read the initrd");
	s->at += n;
	return 0;
}

static int unpack_stream(struct source *s, enum image_compression how, inflate_fn fn, void *data,
                         struct error *err)
{
	_cleanup_inflate_ struct inflate *z = NULL;
	_cleanup_free_ uint8_t *piece = malloc(PIECE);
	int r = piece ? inflate_new(how, fn, data, &z, err)
	              : error_set(err, ENOMEM, "no memory to unpack the initrd");

	while (r == 0 && s->at < s->end) {
		size_t n = s->end - s->at < PIECE ? (size_t)(s->end - s->at) : PIECE;

		r = take(s, piece, n, err);
		if (r == 0)
			r = inflate_feed(z, piece, n, err);
	}
	return r ?: inflate_end(z, err);
}

static int damaged(struct error *err)
{
	return error_set_kind(err, ERROR_INPUT, EUCLEAN, "the LZ4 data of the initrd is damaged");
}

/* A packed size that is the magic number begins another frame; zero ends, as for the kernel. */
static int unpack_lz4(struct source *s, inflate_fn fn, void *data, struct error *err)
{
	const size_t bound = (size_t)LZ4_compressBound(LZ4_BLOCK);
	_cleanup_free_ uint8_t *packed = malloc(bound), *plain = malloc(LZ4_BLOCK);
	int r = packed && plain ? 0 : error_set(err, ENOMEM, "no memory to unpack the initrd");

	while (r == 0 && s->at < s->end) {
		uint8_t word[4];
		uint32_t size;
		int n;

		r = take(s, word, sizeof(word), err);
		size = r == 0 ? get_le32(word) : 0;
		if (r < 0 || size == LZ4_MAGIC)
			continue;
		if (size == 0)
			break;
		if (size > bound)
			return damaged(err);
		r = take(s, packed, size, err);
		if (r < 0)
			break;
		n = LZ4_decompress_safe((const char *)packed, (char *)plain, (int)size, LZ4_BLOCK);
		if (n < 0)
			return damaged(err);
		r = fn(data, plain, (size_t)n, err);
	}
	return r;
}

int unpack_file(int fd, uint64_t offset, uint64_t size, inflate_fn fn, void *data,
                struct error *err)
{
	struct source s = {fd, offset, offset + size};
	uint8_t head[UNPACK_HEAD] = {0};
	size_t n = size < sizeof(head) ? (size_t)size : sizeof(head);
	const struct method *m;
	int r = take(&s, head, n, err);

	if (r < 0)
		return r;
	s.at = offset;
	m = find_method(head, n);
	if (!m)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "it is no initrd: neither a newc archive nor one packed with "
		                      "gzip, zstd or LZ4 (legacy frame)");
	return strcmp(m->name, "lz4") == 0 ? unpack_lz4(&s, fn, data, err)
	                                   : unpack_stream(&s, m->how, fn, data, err);
}
