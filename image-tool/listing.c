/* SPDX-License-Identifier: Apache-2.0 */
/* listing: the table, and what EROFS and ext4 images put into it. */
#include "image-tool/listing.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image-tool/tool.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/disk/mbr.h"
#include "lib/erofs/reader.h"
#include "lib/erofs/writer.h"
#include "lib/ext4/walk.h"

#define PIECE      65536u
#define TARGET_MAX 4096u
#define SMALL_PAGE 4096u
#define HUGE_PAGE  (2u << 20)

DEFINE_CLEANUP(EVP_MD_CTX, md, EVP_MD_CTX_free)

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory to list what the image holds");
}

/* ---------------------------------------------------------------- the table */

void listing_free(struct listing *l)
{
	if (!l)
		return;
	free(l->entries);
	arena_free(&l->arena);
	free(l);
}

struct listed *listing_add(struct listing *l, const char *path, struct error *err)
{
	struct listed *e;

	if (tool_interrupted()) {
		error_set(err, EINTR, "interrupted");
		return NULL;
	}
	if (l->n == LISTING_MAX) {
		error_set_kind(err, ERROR_INPUT, EFBIG, "it holds more than %u files", LISTING_MAX);
		return NULL;
	}
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 256;

		e = reallocarray(l->entries, room, sizeof(*e));
		if (!e) {
			no_memory(err);
			return NULL;
		}
		l->entries = e;
		l->room = room;
	}
	e = &l->entries[l->n];
	*e = (struct listed){.path = arena_strdup(&l->arena, path), .offset = LISTING_NOWHERE};
	if (!e->path) {
		no_memory(err);
		return NULL;
	}
	l->n++;
	return e;
}

int listing_xattr(struct listed *e, const char *name, const void *value, size_t size,
                  struct error *err)
{
	_cleanup_(cleanup_md) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t one[32];

	if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestUpdate(ctx, name, strlen(name) + 1) != 1 ||
	    EVP_DigestUpdate(ctx, value, size) != 1 || EVP_DigestFinal_ex(ctx, one, NULL) != 1)
		return no_memory(err);
	for (size_t i = 0; i < sizeof(one); i++)
		e->xattrs[i] ^= one[i];
	e->has_xattrs = true;
	return 0;
}

static int by_path(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static void count(struct listing *l)
{
	struct listing_share *s = &l->share;

	for (size_t i = 0; i < l->n; i++) {
		const struct listed *e = &l->entries[i];

		if (!S_ISREG(e->mode))
			continue;
		s->files++;
		s->bytes += e->size;
		if (!e->dax)
			continue;
		s->small_bytes += e->size;
		if (e->contiguous && e->offset % HUGE_PAGE == 0)
			s->huge_bytes += e->size - e->size % HUGE_PAGE;
	}
}

int listing_load(const struct place *place, enum probe_type type, enum listing_detail detail,
                 struct listing **out, struct error *err)
{
	_cleanup_listing_ struct listing *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return no_memory(err);
	l->type = type;
	l->detail = detail;
	if (type == PROBE_EROFS)
		r = listing_erofs(l, place, err);
	else if (type == PROBE_EXT4)
		r = listing_ext4(l, place, err);
	else
		r = listing_initrd(l, place, err);
	if (r < 0)
		return r;
	if (l->n > 0)
		qsort(l->entries, l->n, sizeof(*l->entries), by_path);
	count(l);
	*out = steal_ptr(&l);
	return 0;
}

/* A disk is taken for what its first partition holds. */
static int first_partition(struct place *place, struct error *err)
{
	uint8_t sector[MBR_SIZE];
	struct mbr mbr;
	int e = fs_pread_all(place->fd, sector, sizeof(sector), 0);

	e = e < 0 ? error_errno(err, -e, "cannot read its partition table")
	          : mbr_parse(sector, sizeof(sector), place->size, &mbr, err);
	if (e < 0)
		return e;
	if (mbr.partitions[0].size == 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "it has no first partition");
	place->offset = mbr.partitions[0].start;
	place->size = mbr.partitions[0].size;
	return 0;
}

int listing_load_root(const struct place *place, enum listing_detail detail, struct listing **out,
                      struct error *err)
{
	struct place part = *place;
	enum probe_type type;
	int e = probe_place(&part, &type, err);

	if (e == 0 && (type == PROBE_KATA || type == PROBE_DISK)) {
		e = first_partition(&part, err);
		if (e == 0)
			e = probe_place(&part, &type, err);
	}
	if (e < 0)
		return e;
	if (type != PROBE_EROFS && type != PROBE_EXT4 && type != PROBE_INITRD)
		return 1;
	return listing_load(&part, type, detail, out, err);
}

/* ---------------------------------------------------------------- digests of contents */

/* The contexts are kept from one content to the next. */
int listing_digest_start(struct listing_digest *d, const struct listing *l, struct error *err)
{
	d->target.limit = TARGET_MAX;
	buffer_clear(&d->target);
	d->sha256 = d->sha256 ?: EVP_MD_CTX_new();
	if (!d->sha256 || EVP_DigestInit_ex(d->sha256, EVP_sha256(), NULL) != 1)
		return no_memory(err);
	if (l->detail < LISTING_SHA1)
		return 0;
	d->sha1 = d->sha1 ?: EVP_MD_CTX_new();
	return d->sha1 && EVP_DigestInit_ex(d->sha1, EVP_sha1(), NULL) == 1 ? 0 : no_memory(err);
}

int listing_digest_piece(const uint8_t *p, size_t n, void *data, struct error *err)
{
	struct listing_digest *d = data;

	if (d->target.size + n <= TARGET_MAX)
		buffer_append(&d->target, p, n);
	if (tool_interrupted())
		return error_set(err, EINTR, "interrupted");
	if (EVP_DigestUpdate(d->sha256, p, n) != 1 ||
	    (d->sha1 && EVP_DigestUpdate(d->sha1, p, n) != 1))
		return no_memory(err);
	return 0;
}

int listing_digest_end(struct listing_digest *d, struct listing *l, struct listed *e,
                       struct error *err)
{
	if (EVP_DigestFinal_ex(d->sha256, e->digest, NULL) != 1 ||
	    (d->sha1 && EVP_DigestFinal_ex(d->sha1, e->sha1, NULL) != 1))
		return no_memory(err);
	e->has_digest = true;
	if (S_ISLNK(e->mode))
		e->target = arena_strndup(&l->arena, buffer_cstr(&d->target), d->target.size);
	return 0;
}

void listing_digest_free(struct listing_digest *d)
{
	EVP_MD_CTX_free(d->sha256);
	EVP_MD_CTX_free(d->sha1);
	buffer_free(&d->target);
}

static bool wants_digest(const struct listed *e)
{
	return (S_ISREG(e->mode) || S_ISLNK(e->mode)) && e->size <= LISTING_DIGEST_MAX;
}

/* ---------------------------------------------------------------- EROFS */

struct erofs_listing {
	struct listing *l;
	struct erofs_image *image;
	uint64_t base;
	struct error *err;
};

struct xattr_target {
	struct listed *e;
	struct error *err;
};

static int take_erofs_xattr(const char *name, const void *value, size_t size, void *data)
{
	struct xattr_target *x = data;

	return listing_xattr(x->e, name, value, size, x->err);
}

/* Content that the reader cannot read is listed without a digest. */
static int erofs_digest(struct erofs_listing *w, const struct erofs_stat *st, struct listed *e)
{
	_cleanup_listing_digest_ struct listing_digest d = {NULL};
	_cleanup_free_ uint8_t *piece = malloc(PIECE);
	uint64_t at = 0;
	int r = piece ? listing_digest_start(&d, w->l, w->err) : no_memory(w->err);

	while (r == 0 && at < st->size) {
		ssize_t n = erofs_pread(w->image, st, piece, PIECE, at, w->err);

		if (n == -EOPNOTSUPP) {
			error_clear(w->err);
			return 0;
		}
		if (n <= 0)
			return n < 0 ? (int)n
			             : error_set_kind(w->err, ERROR_INPUT, EUCLEAN,
			                              "the content of %s ends early", e->path);
		r = listing_digest_piece(piece, (size_t)n, &d, w->err);
		at += (uint64_t)n;
	}
	return r < 0 ? r : listing_digest_end(&d, w->l, e, w->err);
}

/* Where the content is. Inline content follows the inode and its xattrs. */
static void erofs_place(const struct erofs_listing *w, const struct erofs_stat *st,
                        struct listed *e)
{
	static const char *const layouts[] = {
	    [EROFS_LAYOUT_PLAIN] = "plain",     [EROFS_LAYOUT_COMPRESSED_FULL] = "compressed",
	    [EROFS_LAYOUT_INLINE] = "inline",   [EROFS_LAYOUT_COMPRESSED_COMPACT] = "compressed",
	    [EROFS_LAYOUT_CHUNKED] = "chunked",
	};
	uint64_t inode_size = st->extended ? 64 : 32; /* erofs_fs.h */

	e->layout = layouts[st->layout];
	if (st->layout == EROFS_LAYOUT_PLAIN) {
		e->offset = w->base + (uint64_t)st->block * EROFS_BLOCK_SIZE;
		e->contiguous = true;
	} else if (st->layout == EROFS_LAYOUT_INLINE && st->size < EROFS_BLOCK_SIZE) {
		e->offset = w->base + st->offset + inode_size + st->xattr_size;
		e->contiguous = true;
	}
	e->dax = S_ISREG(st->mode) &&
	         (st->layout == EROFS_LAYOUT_CHUNKED ||
	          (st->layout == EROFS_LAYOUT_PLAIN && e->offset % SMALL_PAGE == 0));
}

static int erofs_entry(const char *path, const struct erofs_stat *st, void *data)
{
	struct erofs_listing *w = data;
	struct listed *e = listing_add(w->l, path, w->err);
	struct xattr_target x = {e, w->err};
	int r = 0;

	if (!e)
		return w->err->code;
	e->mode = st->mode;
	e->uid = st->uid;
	e->gid = st->gid;
	e->nlink = st->nlink;
	e->rdev_major = st->rdev_major;
	e->rdev_minor = st->rdev_minor;
	e->size = S_ISDIR(st->mode) ? 0 : st->size;
	e->mtime = st->mtime;
	if (e->size > 0)
		erofs_place(w, st, e);
	if (w->l->detail == LISTING_NAMES)
		return 0;
	r = erofs_xattrs(w->image, st, take_erofs_xattr, &x, w->err);
	return r < 0 ? r : wants_digest(e) ? erofs_digest(w, st, e) : 0;
}

int listing_erofs(struct listing *l, const struct place *place, struct error *err)
{
	struct error unseen = ERROR_INIT;
	struct erofs_listing w = {.l = l, .base = place->offset, .err = err ?: &unseen};
	const uint8_t *map = NULL;
	int r = place_map(place, &map, w.err);

	if (r == 0)
		r = erofs_open_memory(&w.image, map, place->size, w.err);
	if (r == 0)
		r = erofs_walk(w.image, erofs_entry, &w, w.err);
	erofs_close(w.image);
	place_unmap(place, map);
	return r;
}

/* ---------------------------------------------------------------- ext4 */

struct ext4_listing {
	struct listing *l;
	struct ext4_image *image;
	uint32_t block_size;
};

static int ext4_xattr(const char *name, const void *value, size_t size, void *data,
                      struct error *err)
{
	return listing_xattr(data, name, value, size, err);
}

static int ext4_digest(struct ext4_listing *w, uint32_t ino, struct listed *e, struct error *err)
{
	_cleanup_listing_digest_ struct listing_digest d = {NULL};
	int r = listing_digest_start(&d, w->l, err);

	if (r == 0)
		r = ext4_read(w->image, ino, listing_digest_piece, &d, err);
	return r < 0 ? r : listing_digest_end(&d, w->l, e, err);
}

static int ext4_entry(const struct ext4_entry *x, void *data, struct error *err)
{
	struct ext4_listing *w = data;
	struct listed *e = listing_add(w->l, x->path, err);
	int r;

	if (!e)
		return err->code;
	e->mode = x->mode;
	e->uid = x->uid;
	e->gid = x->gid;
	e->nlink = x->nlink;
	e->rdev_major = x->rdev_major;
	e->rdev_minor = x->rdev_minor;
	e->size = S_ISDIR(x->mode) ? 0 : x->size;
	e->mtime = x->mtime;
	if (e->size > 0) {
		bool nowhere = x->offset == EXT4_NOWHERE;

		/* What an inode cannot hold begins with a hole. */
		e->layout = nowhere && e->size < w->block_size ? "inline"
		            : x->contiguous                    ? "plain"
		                                               : "pieces";
		e->offset = x->offset == EXT4_NOWHERE ? LISTING_NOWHERE : x->offset;
		e->contiguous = x->contiguous;
		e->dax = S_ISREG(x->mode) && w->block_size == SMALL_PAGE &&
		         x->offset != EXT4_NOWHERE && x->offset % SMALL_PAGE == 0;
	}
	if (w->l->detail == LISTING_NAMES)
		return 0;
	r = ext4_xattrs(w->image, x->ino, ext4_xattr, e, err);
	return r ?: wants_digest(e) ? ext4_digest(w, x->ino, e, err) : 0;
}

int listing_ext4(struct listing *l, const struct place *place, struct error *err)
{
	struct error unseen = ERROR_INIT, *e = err ?: &unseen;
	struct ext4_listing w = {.l = l};
	struct ext4_summary s;
	int r = ext4_open(&w.image, place->fd, place->offset, place->size, e);

	if (r < 0)
		return r;
	ext4_summarize(w.image, &s);
	w.block_size = s.block_size;
	r = ext4_walk(w.image, ext4_entry, &w, e);
	ext4_close(w.image);
	return r;
}
