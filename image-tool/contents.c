/* SPDX-License-Identifier: Apache-2.0 */
/* contents: see the header. */
#include "image-tool/contents.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "image-tool/tool.h"
#include "lib/base/cleanup.h"
#include "lib/base/str.h"
#include "lib/disk/layout.h"
#include "lib/erofs/reader.h"

#define PIECE    (256u * 1024)
#define ROOT_MAX (1u << 20) /* files of a root that are listed */

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
	_cleanup_close_ int fd = openat(dirfd, f->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_(digests_free) struct digests d = {NULL, NULL};
	_cleanup_free_ uint8_t *piece = malloc(PIECE);
	int r = fd < 0 ? error_errno(err, errno, "cannot read %s", f->name) : digests_new(&d, err);

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

struct root_walk {
	struct contents *c;
	struct erofs_image *image;
	uint8_t *piece;
	size_t room;
	struct error *err;
};

static int read_content(struct root_walk *w, const struct erofs_stat *st, struct content_file *f)
{
	_cleanup_(digests_free) struct digests d = {NULL, NULL};
	int r = digests_new(&d, w->err);

	while (r == 0 && f->size < st->size) {
		ssize_t n = erofs_pread(w->image, st, w->piece, PIECE, f->size, w->err);

		if (n == 0)
			return error_set_kind(w->err, ERROR_INPUT, EUCLEAN, "%s ends early",
			                      f->name);
		if (n < 0)
			return (int)n;
		f->size += (uint64_t)n;
		r = digests_update(&d, w->piece, (size_t)n, w->err);
	}
	return r < 0 ? r : digests_final(&d, f, w->err);
}

static int grow(struct root_walk *w)
{
	size_t room = w->room ? 2 * w->room : 64;
	struct content_file *more = reallocarray(w->c->root, room, sizeof(*more));

	if (!more)
		return -ENOMEM;
	w->c->root = more;
	w->room = room;
	return 0;
}

static int on_path(const char *path, const struct erofs_stat *st, void *data)
{
	struct root_walk *w = data;
	struct content_file *f;
	int r;

	if (!S_ISREG(st->mode))
		return 0;
	if (w->c->n_root == ROOT_MAX)
		return error_set_kind(w->err, ERROR_INPUT, E2BIG, "more than %u files in the root",
		                      ROOT_MAX);
	if (w->c->n_root == w->room && grow(w) < 0)
		return error_set(w->err, ENOMEM, "no memory for the list of files");
	f = &w->c->root[w->c->n_root];
	*f = (struct content_file){.name = arena_strdup(&w->c->arena, path)};
	r = f->name ? read_content(w, st, f)
	            : error_set(w->err, ENOMEM, "no memory for the list of files");
	if (r < 0)
		return error_prefix(w->err, r, "%s", path);
	w->c->n_root++;
	return 0;
}

static int walk_root(struct contents *c, const void *map, uint64_t size, struct error *err)
{
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	_cleanup_free_ uint8_t *piece = malloc(PIECE);
	struct root_walk w = {.c = c, .piece = piece, .err = err};
	int r = piece ? erofs_open_memory(&image, map, size, err)
	              : error_set(err, ENOMEM, "no memory for the list of files");

	w.image = image;
	return r < 0 ? r : erofs_walk(image, on_path, &w, err);
}

/* The part of the root's file that is a file system. */
static int find_part(int fd, const struct guestimg *img, uint64_t *offset, uint64_t *size,
                     struct error *err)
{
	struct disk_layout l;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "cannot read %s", img->rootfs.file);
	*offset = 0;
	*size = (uint64_t)st.st_size;
	if (strcmp(img->rootfs.format, "kata") != 0)
		return 0;
	r = disk_layout_read(fd, &l, err);
	if (r > 0)
		r = error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
		                   "there is no DAX information block, so it is no disk for Kata");
	if (r < 0)
		return r;
	*offset = l.root_start;
	*size = l.root_size;
	return 0;
}

static int read_root(struct contents *c, int dirfd, const struct guestimg *img, struct error *err)
{
	_cleanup_close_ int fd = -1;
	uint64_t offset = 0, size = 0;
	void *map;
	int r;

	if (strcmp(img->rootfs.type ?: img->rootfs.format, "erofs") != 0)
		return 0;
	fd = openat(dirfd, img->rootfs.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	r = fd < 0 ? error_errno(err, errno, "cannot read it")
	           : find_part(fd, img, &offset, &size, err);
	if (r < 0)
		return error_prefix(err, r, "%s", img->rootfs.file);
	map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, (off_t)offset);
	if (map == MAP_FAILED)
		return error_errno(err, errno, "cannot read %s", img->rootfs.file);
	r = walk_root(c, map, size, err);
	munmap(map, size);
	c->root_listed = r == 0;
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
	free(c->root);
	arena_free(&c->arena);
	*c = (struct contents){0};
}
