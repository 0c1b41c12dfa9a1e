/* SPDX-License-Identifier: Apache-2.0 */
/* reader: superblock, inodes and content of an image. */
#include "lib/erofs/reader.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/erofs/image.h"

int image_damaged(struct error *err, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return error_set_kind(err, ERROR_INPUT, EUCLEAN, "the EROFS image is damaged: %s", text);
}

/* ---------------------------------------------------------------- bytes */

int image_block(struct erofs_image *image, uint64_t block, const uint8_t **data, size_t *size,
                struct error *err)
{
	size_t slot = (size_t)(block % IMAGE_CACHE_BLOCKS);
	uint64_t at = block * EROFS_BLOCK_SIZE, left;
	int r;

	if (block >= image->size / EROFS_BLOCK_SIZE + 1 || at >= image->size)
		return image_damaged(err, "block %llu is beyond its end",
		                     (unsigned long long)block);
	left = image->size - at;
	*size = left < EROFS_BLOCK_SIZE ? (size_t)left : EROFS_BLOCK_SIZE;
	if (image->fd < 0) {
		*data = image->memory + at;
		return 0;
	}
	*data = image->cache + slot * EROFS_BLOCK_SIZE;
	if (image->cached[slot] == block + 1)
		return 0;
	image->cached[slot] = 0;
	r = fs_pread_all(image->fd, image->cache + slot * EROFS_BLOCK_SIZE, *size, at);
	if (r < 0)
		return error_errno(err, -r, "cannot read the EROFS image at byte %llu",
		                   (unsigned long long)at);
	image->cached[slot] = block + 1;
	return 0;
}

int image_read(struct erofs_image *image, uint64_t at, void *buf, size_t size, struct error *err)
{
	uint8_t *p = buf;

	if (at > image->size || size > image->size - at)
		return image_damaged(err, "%zu bytes at %llu are beyond its end", size,
		                     (unsigned long long)at);
	while (size) {
		size_t in = (size_t)(at % EROFS_BLOCK_SIZE), have, n;
		const uint8_t *data;
		int r = image_block(image, at / EROFS_BLOCK_SIZE, &data, &have, err);

		if (r < 0)
			return r;
		n = have - in < size ? have - in : size;
		memcpy(p, data + in, n);
		p += n;
		at += n;
		size -= n;
	}
	return 0;
}

/* ---------------------------------------------------------------- superblock */

static int unsupported(struct error *err, const char *what, uint64_t value)
{
	return error_set_kind(err, ERROR_INPUT, EOPNOTSUPP,
	                      "this EROFS image has %s (%#llx), which is not supported", what,
	                      (unsigned long long)value);
}

static int parse_super(struct erofs_super *s, const uint8_t *p, struct error *err)
{
	uint32_t checksum = get_le32(p + SB_CHECKSUM);

	if (get_le32(p + SB_MAGIC) != EROFS_MAGIC)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "this is no EROFS image");
	*s = (struct erofs_super){
	    .feature_compat = get_le32(p + SB_COMPAT),
	    .feature_incompat = get_le32(p + SB_INCOMPAT),
	    .root_nid = get_le16(p + SB_ROOT_NID),
	    .inodes = get_le64(p + SB_INODES),
	    .build_time = (int64_t)get_le64(p + SB_BUILD_TIME),
	    .build_time_ns = get_le32(p + SB_BUILD_TIME_NS),
	    .blocks = get_le32(p + SB_BLOCKS),
	    .meta_block = get_le32(p + SB_META_BLOCK),
	    .xattr_block = get_le32(p + SB_XATTR_BLOCK),
	    .checksum_ok = true,
	};
	memcpy(s->uuid, p + SB_UUID, sizeof(s->uuid));
	memcpy(s->volume_name, p + SB_VOLUME_NAME, sizeof(s->volume_name) - 1);
	if (p[SB_BLOCK_BITS] != EROFS_BLOCK_BITS)
		return unsupported(err, "blocks of another size than 4096", p[SB_BLOCK_BITS]);
	if (p[SB_DIR_BLOCK_BITS])
		return unsupported(err, "large directory blocks", p[SB_DIR_BLOCK_BITS]);
	if (s->feature_incompat & ~EROFS_INCOMPAT_KNOWN)
		return unsupported(err, "unknown features", s->feature_incompat);
	if (s->feature_compat & EROFS_COMPAT_SB_CHECKSUM) {
		s->has_checksum = true;
		s->checksum_ok =
		    erofs_super_checksum(p, EROFS_BLOCK_SIZE - EROFS_SUPER_OFFSET) == checksum;
	}
	return 0;
}

static int open_image(struct erofs_image **out, const struct erofs_image *from, struct error *err)
{
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	const uint8_t *data;
	size_t size;
	int r;

	if (from->size < EROFS_BLOCK_SIZE)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "this is no EROFS image: it has %llu bytes only",
		                      (unsigned long long)from->size);
	image = malloc(sizeof(*image));
	if (!image)
		return error_set(err, ENOMEM, "out of memory for reading an EROFS image");
	*image = *from;
	if (image->fd >= 0) {
		image->cache = malloc(IMAGE_CACHE_BLOCKS * EROFS_BLOCK_SIZE);
		if (!image->cache)
			return error_set(err, ENOMEM, "out of memory for reading an EROFS image");
	}
	r = image_block(image, 0, &data, &size, err);
	if (r == 0)
		r = parse_super(&image->super, data + EROFS_SUPER_OFFSET, err);
	if (r < 0)
		return r;
	*out = steal_ptr(&image);
	return 0;
}

int erofs_open_fd(struct erofs_image **out, int fd, struct error *err)
{
	struct erofs_image image = {.fd = fd};
	off_t end = lseek(fd, 0, SEEK_END); /* right for block devices too */

	*out = NULL;
	if (end < 0)
		return error_errno(err, errno, "cannot tell the size of the EROFS image");
	image.size = (uint64_t)end;
	return open_image(out, &image, err);
}

int erofs_open_memory(struct erofs_image **out, const void *data, size_t size, struct error *err)
{
	struct erofs_image image = {.fd = -1, .memory = data, .size = size};

	*out = NULL;
	return open_image(out, &image, err);
}

void erofs_close(struct erofs_image *image)
{
	if (!image)
		return;
	run_cache_free(&image->runs);
	free(image->cache);
	free(image);
}

const struct erofs_super *erofs_super(const struct erofs_image *image)
{
	return &image->super;
}

/* ---------------------------------------------------------------- inodes */

static void parse_compact(const struct erofs_super *s, const uint8_t *p, struct erofs_stat *st)
{
	st->nlink = get_le16(p + INODE_C_NLINK);
	st->size = get_le32(p + INODE_SIZE);
	st->uid = get_le16(p + INODE_C_UID);
	st->gid = get_le16(p + INODE_C_GID);
	st->mtime = s->build_time;
	st->mtime_ns = s->build_time_ns;
}

static void parse_extended(const uint8_t *p, struct erofs_stat *st)
{
	st->nlink = get_le32(p + INODE_X_NLINK);
	st->size = get_le64(p + INODE_SIZE);
	st->uid = get_le32(p + INODE_X_UID);
	st->gid = get_le32(p + INODE_X_GID);
	st->mtime = (int64_t)get_le64(p + INODE_X_MTIME);
	st->mtime_ns = get_le32(p + INODE_X_MTIME_NS);
}

int erofs_stat_nid(struct erofs_image *image, uint64_t nid, struct erofs_stat *out,
                   struct error *err)
{
	uint64_t base = (uint64_t)image->super.meta_block * EROFS_BLOCK_SIZE, at;
	uint8_t p[INODE_EXTENDED_SIZE];
	uint32_t format, xattrs, u;
	int r;

	if (nid > UINT64_MAX / 2 / EROFS_SLOT_SIZE)
		return image_damaged(err, "inode %llu cannot be", (unsigned long long)nid);
	at = base + nid * EROFS_SLOT_SIZE;
	r = image_read(image, at, p, INODE_COMPACT_SIZE, err);
	if (r < 0)
		return r;
	format = get_le16(p + INODE_FORMAT);
	xattrs = get_le16(p + INODE_XATTR_COUNT);
	u = get_le32(p + INODE_U);
	if (format & ~INODE_FORMAT_KNOWN ||
	    format >> INODE_FORMAT_LAYOUT_SHIFT > EROFS_LAYOUT_CHUNKED)
		return image_damaged(err, "inode %llu is of the unknown format %#x",
		                     (unsigned long long)nid, format);
	*out = (struct erofs_stat){
	    .nid = nid,
	    .mode = get_le16(p + INODE_MODE),
	    .layout = (enum erofs_layout)(format >> INODE_FORMAT_LAYOUT_SHIFT),
	    .extended = format & INODE_FORMAT_EXTENDED,
	    .xattr_size = xattrs ? XATTR_HEADER_SIZE + (xattrs - 1) * 4 : 0,
	    .offset = at,
	};
	if (out->extended) {
		r = image_read(image, at, p, INODE_EXTENDED_SIZE, err);
		if (r < 0)
			return r;
		parse_extended(p, out);
	} else {
		parse_compact(&image->super, p, out);
	}
	if (!erofs_file_type(out->mode) || out->size > INT64_MAX || out->mtime_ns >= 1000000000u)
		return image_damaged(err, "inode %llu has mode %o, size %llu and %u ns",
		                     (unsigned long long)nid, out->mode,
		                     (unsigned long long)out->size, out->mtime_ns);
	if (S_ISCHR(out->mode) || S_ISBLK(out->mode))
		erofs_decode_dev(u, &out->rdev_major, &out->rdev_minor);
	else
		out->block = u;
	return 0;
}

/* ---------------------------------------------------------------- content */

int image_tail(const struct erofs_stat *st, uint64_t *at, uint32_t *size, struct error *err)
{
	*size = 0;
	*at = st->offset + image_inode_size(st) + st->xattr_size;
	if (st->layout != EROFS_LAYOUT_INLINE || !st->size)
		return 0;
	/* The last block is inline even when it is whole, which never fits. */
	*size = (uint32_t)((st->size - 1) % EROFS_BLOCK_SIZE + 1);
	if (*at % EROFS_BLOCK_SIZE + *size > EROFS_BLOCK_SIZE)
		return image_damaged(err, "the inline data of inode %llu crosses a block",
		                     (unsigned long long)st->nid);
	return 0;
}

/* Straight from the file: content is not worth caching. */
static int read_content(struct erofs_image *image, const struct erofs_stat *st, uint64_t at,
                        void *buf, size_t size, struct error *err)
{
	int r;

	if (at > image->size || size > image->size - at)
		return image_damaged(err, "the content of inode %llu is beyond its end",
		                     (unsigned long long)st->nid);
	if (image->fd < 0) {
		memcpy(buf, image->memory + at, size);
		return 0;
	}
	r = fs_pread_all(image->fd, buf, size, at);
	if (r < 0)
		return error_errno(err, -r, "cannot read the EROFS image at byte %llu",
		                   (unsigned long long)at);
	return 0;
}

int image_chunk(struct erofs_image *image, const struct erofs_stat *st, uint64_t offset,
                uint64_t *at, uint64_t *size, struct error *err)
{
	unsigned int entry = st->block & CHUNK_FORMAT_INDEXES ? 8 : 4;
	unsigned int bits = EROFS_BLOCK_BITS + (st->block & CHUNK_FORMAT_BITS);
	uint64_t map = st->offset + image_inode_size(st) + st->xattr_size, in;
	uint8_t bytes[8];
	uint32_t block;
	int r;

	if (st->block & ~CHUNK_FORMAT_KNOWN)
		return unsupported(err, "chunks of an unknown format", st->block);
	in = offset & ((1ULL << bits) - 1);
	*size = (1ULL << bits) - in;
	if (*size > st->size - offset)
		*size = st->size - offset;
	map = (map + entry - 1) & ~(uint64_t)(entry - 1);
	r = image_read(image, map + (offset >> bits) * entry, bytes, entry, err);
	if (r < 0)
		return r;
	if (entry == 8 && (bytes[2] || bytes[3]))
		return unsupported(err, "content on further devices", get_le16(bytes + 2));
	block = get_le32(bytes + (entry == 8 ? 4 : 0));
	*at = 0;
	if (block == EROFS_NULL_BLOCK)
		return 0;
	*at = (uint64_t)block * EROFS_BLOCK_SIZE + in;
	if (!block || *at > image->size || *size > image->size - *at)
		return image_damaged(err, "a chunk of inode %llu is beyond its end",
		                     (unsigned long long)st->nid);
	return 0;
}

/* Up to the end of a chunk. */
static ssize_t read_chunks(struct erofs_image *image, const struct erofs_stat *st, void *buf,
                           size_t size, uint64_t offset, struct error *err)
{
	uint64_t at, have;
	int r = image_chunk(image, st, offset, &at, &have, err);

	if (r < 0)
		return r;
	if (size > have)
		size = (size_t)have;
	if (at)
		r = read_content(image, st, at, buf, size, err);
	else
		memset(buf, 0, size);
	return r < 0 ? r : (ssize_t)size;
}

ssize_t erofs_pread(struct erofs_image *image, const struct erofs_stat *st, void *buf, size_t size,
                    uint64_t offset, struct error *err)
{
	uint64_t tail_at, plain;
	uint32_t tail;
	int r;

	if (size > SSIZE_MAX)
		size = SSIZE_MAX;
	if (!S_ISREG(st->mode) && !S_ISDIR(st->mode) && !S_ISLNK(st->mode))
		return error_set(err, EINVAL, "inode %llu has no content",
		                 (unsigned long long)st->nid);
	if (offset >= st->size || !size)
		return 0;
	if (size > st->size - offset)
		size = (size_t)(st->size - offset);
	if (image_is_compressed(st)) {
		r = compressed_read(image, st, buf, size, offset, err);
		return r < 0 ? r : (ssize_t)size;
	}
	if (st->layout == EROFS_LAYOUT_CHUNKED)
		return read_chunks(image, st, buf, size, offset, err);
	r = image_tail(st, &tail_at, &tail, err);
	if (r < 0)
		return r;
	plain = st->size - tail;
	if (offset < plain) {
		/* A run ends where the inline tail begins. */
		if (size > plain - offset)
			size = (size_t)(plain - offset);
		r = read_content(image, st, (uint64_t)st->block * EROFS_BLOCK_SIZE + offset, buf,
		                 size, err);
	} else {
		r = image_read(image, tail_at + (offset - plain), buf, size, err);
	}
	return r < 0 ? r : (ssize_t)size;
}

int erofs_skip_hole(struct erofs_image *image, const struct erofs_stat *st, uint64_t offset,
                    uint64_t *next, struct error *err)
{
	uint64_t start = (uint64_t)st->block * EROFS_BLOCK_SIZE, at, size;
	off_t data;
	int r;

	*next = offset;
	if (!S_ISREG(st->mode) || offset >= st->size)
		return 0;
	if (st->layout == EROFS_LAYOUT_CHUNKED) {
		r = image_chunk(image, st, offset, &at, &size, err);
		if (r == 0 && !at)
			*next = offset + size;
		return r;
	}
	if (st->layout != EROFS_LAYOUT_PLAIN || image->fd < 0 || start > image->size ||
	    st->size > image->size - start)
		return 0;
	/* Where the file system cannot say, there is data everywhere. */
	data = lseek(image->fd, (off_t)(start + offset), SEEK_DATA);
	if (data < 0)
		*next = errno == ENXIO ? st->size : offset;
	else
		*next = (uint64_t)data - start < st->size ? (uint64_t)data - start : st->size;
	return 0;
}

/* ---------------------------------------------------------------- xattrs */

struct xattr_reader {
	struct erofs_image *image;
	bool (*skip)(uint32_t id, void *data);
	erofs_xattr_fn fn;
	void *data;
	struct buffer value;
};

/* The entry at `at`, of at most `room` bytes; *size is what it takes. */
static int read_xattr(struct xattr_reader *x, uint64_t at, size_t room, size_t *size,
                      struct error *err)
{
	uint8_t head[XATTR_ENTRY_SIZE];
	char name[EROFS_NAME_MAX + 32];
	const char *prefix;
	size_t prefix_len, name_len, value_size;
	int r;

	if (room < sizeof(head))
		return image_damaged(err, "an extended attribute is cut off");
	r = image_read(x->image, at, head, sizeof(head), err);
	if (r < 0)
		return r;
	name_len = head[XATTR_ENTRY_NAME_LEN];
	value_size = get_le16(head + XATTR_ENTRY_VALUE_SIZE);
	*size = (sizeof(head) + name_len + value_size + 3) & ~(size_t)3;
	if (*size > room)
		return image_damaged(err, "an extended attribute is cut off");
	prefix = erofs_xattr_prefix(head[XATTR_ENTRY_INDEX]);
	if (!prefix)
		return unsupported(err, "extended attributes of a kind", head[XATTR_ENTRY_INDEX]);
	prefix_len = strlen(prefix);
	memcpy(name, prefix, prefix_len);
	r = image_read(x->image, at + sizeof(head), name + prefix_len, name_len, err);
	if (r < 0)
		return r;
	name[prefix_len + name_len] = '\0';
	if (memchr(name, '\0', prefix_len + name_len))
		return image_damaged(err, "a NUL byte in the name of an extended attribute");
	buffer_clear(&x->value);
	if (!buffer_reserve(&x->value, value_size))
		return error_set(err, ENOMEM, "out of memory for an extended attribute");
	r = image_read(x->image, at + sizeof(head) + name_len, x->value.data, value_size, err);
	return r < 0 ? r : x->fn(name, x->value.data, value_size, x->data);
}

static int read_xattrs(struct xattr_reader *x, const struct erofs_stat *st, struct error *err)
{
	uint64_t at = st->offset + image_inode_size(st), shared_at;
	uint8_t head[XATTR_HEADER_SIZE], id[4];
	size_t left = st->xattr_size, n_shared, size;
	int r;

	r = image_read(x->image, at, head, sizeof(head), err);
	if (r < 0)
		return r;
	n_shared = head[XATTR_HEADER_SHARED_COUNT];
	if (sizeof(head) + 4 * n_shared > left)
		return image_damaged(err, "inode %llu has more shared attributes than room",
		                     (unsigned long long)st->nid);
	shared_at = at + sizeof(head);
	at = shared_at + 4 * n_shared;
	left -= sizeof(head) + 4 * n_shared;
	for (; left; left -= size, at += size) {
		r = read_xattr(x, at, left, &size, err);
		if (r)
			return r;
	}
	for (size_t i = 0; i < n_shared; i++) {
		r = image_read(x->image, shared_at + 4 * i, id, sizeof(id), err);
		if (r < 0)
			return r;
		if (x->skip && x->skip(get_le32(id), x->data))
			continue;
		at = (uint64_t)x->image->super.xattr_block * EROFS_BLOCK_SIZE +
		     (uint64_t)get_le32(id) * 4;
		r = read_xattr(x, at, SIZE_MAX, &size, err);
		if (r)
			return r;
	}
	return 0;
}

int image_xattrs(struct erofs_image *image, const struct erofs_stat *st,
                 bool (*skip)(uint32_t id, void *data), erofs_xattr_fn fn, void *data,
                 struct error *err)
{
	struct xattr_reader x = {.image = image, .skip = skip, .fn = fn, .data = data};
	int r;

	if (!st->xattr_size)
		return 0;
	r = read_xattrs(&x, st, err);
	buffer_free(&x.value);
	return r;
}

int erofs_xattrs(struct erofs_image *image, const struct erofs_stat *st, erofs_xattr_fn fn,
                 void *data, struct error *err)
{
	return image_xattrs(image, st, NULL, fn, data, err);
}
