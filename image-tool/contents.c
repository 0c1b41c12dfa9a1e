/* SPDX-License-Identifier: Apache-2.0 */
/* contents: see the header. */
#include "image-tool/contents.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "image-tool/listing.h"
#include "image-tool/tool.h"
#include "lib/base/cleanup.h"
#include "lib/base/str.h"

#define PIECE (256u * 1024)

/* ---- two digests of one stream */

struct digests {
	EVP_MD_CTX *sha1, *sha256;
};

static int digests_new(struct digests *d, struct error *err)
{
	d->sha1 = EVP_MD_CTX_new();
	d->sha256 = EVP_MD_CTX_new();
	if (!d->sha1 || !d->sha256 || !EVP_DigestInit_ex(d->sha1, EVP_sha1(), NULL) ||
	    !EVP_DigestInit_ex(d->sha256, EVP_sha256(), NULL))
		return error_set(err, ENOMEM, "cannot start SHA-1 and SHA-256");
	return 0;
}

static void digests_free(struct digests *d)
{
	EVP_MD_CTX_free(d->sha1);
	EVP_MD_CTX_free(d->sha256);
}

static int digests_update(struct digests *d, const void *p, size_t n, struct error *err)
{
	if (!EVP_DigestUpdate(d->sha1, p, n) || !EVP_DigestUpdate(d->sha256, p, n))
		return error_set(err, EIO, "cannot compute SHA-1 and SHA-256");
	return tool_interrupted() ? error_set(err, EINTR, "interrupted") : 0;
}

static int hex_of(EVP_MD_CTX *ctx, char *out, struct error *err)
{
	uint8_t raw[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	if (!EVP_DigestFinal_ex(ctx, raw, &n))
		return error_set(err, EIO, "cannot compute SHA-1 and SHA-256");
	for (unsigned int i = 0; i < n; i++) {
		*out++ = "0123456789abcdef"[raw[i] >> 4];
		*out++ = "0123456789abcdef"[raw[i] & 15];
	}
	*out = 0;
	return 0;
}

static int digests_final(struct digests *d, struct content_file *f, struct error *err)
{
	int r = hex_of(d->sha1, f->sha1, err);

	return r < 0 ? r : hex_of(d->sha256, f->sha256, err);
}

/* ---- files of the folder */

static int read_file(int dirfd, struct content_file *f, struct error *err)
{
	_cleanup_close_ int fd =
	    openat(dirfd, f->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	_cleanup_(digests_free) struct digests d = {NULL, NULL};
	_cleanup_free_ uint8_t *piece = malloc(PIECE);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "cannot read %s", f->name);
	if (!S_ISREG(st.st_mode))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is no regular file", f->name);
	r = digests_new(&d, err);
	if (r == 0 && !piece)
		r = error_set(err, ENOMEM, "no memory to read %s", f->name);
	while (r == 0) {
		ssize_t n = read(fd, piece, PIECE);

		if (n < 0 && errno == EINTR && !tool_interrupted())
			continue;
		if (n < 0)
			r = error_errno(err, errno, "cannot read %s", f->name);
		if (n <= 0)
			break;
		f->size += (uint64_t)n;
		r = digests_update(&d, piece, (size_t)n, err);
	}
	return r < 0 ? r : digests_final(&d, f, err);
}

static int read_files(struct contents *c, int dirfd, const struct guestimg *img, struct error *err)
{
	c->files = arena_new_array(&c->arena, img->n_files + 1, struct content_file);
	if (!c->files)
		return error_set(err, ENOMEM, "no memory for the list of files");
	for (; c->n_files <= img->n_files; c->n_files++) {
		const struct guestimg_file *want =
		    c->n_files < img->n_files ? &img->files[c->n_files] : NULL;
		struct content_file *f = &c->files[c->n_files];
		int r;

		f->name = arena_strdup(&c->arena, want ? want->name : GUESTIMG_FILE);
		if (!f->name)
			return error_set(err, ENOMEM, "no memory for the list of files");
		r = read_file(dirfd, f, err);
		if (r < 0)
			return r;
		if (want && (f->size != want->size || strcmp(f->sha256, want->sha256) != 0))
			return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
			                      "%s is not the file that " GUESTIMG_FILE
			                      " names: its SHA-256 is %.16s..., not %.16s...",
			                      f->name, f->sha256, want->sha256);
	}
	return 0;
}

/* ---- files of the root */

static void hex(const uint8_t *raw, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

static int take_root(struct contents *c, const struct listing *l, struct error *err)
{
	c->root = arena_new_array(&c->arena, l->n, struct content_file);
	if (!c->root)
		return error_set(err, ENOMEM, "no memory for the list of files");
	for (size_t i = 0; i < l->n; i++) {
		const struct listed *e = &l->entries[i];
		struct content_file *f = &c->root[c->n_root];

		if (!S_ISREG(e->mode))
			continue;
		if (!e->has_digest)
			return error_set_kind(err, ERROR_INPUT, EOPNOTSUPP,
			                      "the content of %.200s cannot be read", e->path);
		f->name = arena_strdup(&c->arena, e->path);
		f->size = e->size;
		hex(e->sha1, sizeof(e->sha1), f->sha1);
		hex(e->digest, sizeof(e->digest), f->sha256);
		c->n_root++;
	}
	c->root_listed = true;
	return c->arena.failed ? error_set(err, ENOMEM, "no memory for the list of files") : 0;
}

static int read_root(struct contents *c, int dirfd, const struct guestimg *img, struct error *err)
{
	_cleanup_close_ int fd = openat(dirfd, img->rootfs.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_listing_ struct listing *l = NULL;
	struct place place = {.fd = fd};
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "cannot read %s", img->rootfs.file);
	place.size = (uint64_t)st.st_size;
	r = listing_load_root(&place, LISTING_SHA1, &l, err);
	if (r == 0)
		r = take_root(c, l, err);
	return r < 0 ? error_prefix(err, r, "%s", img->rootfs.file) : 0;
}

int contents_read(struct contents *c, const char *dir, const struct guestimg *img,
                  struct error *err)
{
	_cleanup_close_ int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	*c = (struct contents){0};
	r = dirfd < 0 ? error_errno(err, errno, "cannot read it") : read_files(c, dirfd, img, err);
	if (r == 0)
		r = read_root(c, dirfd, img, err);
	return r < 0 ? error_prefix(err, r, "%s", dir) : 0;
}

void contents_free(struct contents *c)
{
	arena_free(&c->arena);
	*c = (struct contents){0};
}
