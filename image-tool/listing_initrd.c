/* SPDX-License-Identifier: Apache-2.0 */
/* listing_initrd: what an initrd puts into a listing: as the kernel would unpack it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image-tool/listing.h"
#include "lib/base/bytes.h"
#include "lib/cpio/cpio.h"
#include "lib/cpio/unpack.h"

/* What ties the names of one file together, beside each entry. */
struct tie {
	uint64_t archive;
	uint32_t ino, dev_major, dev_minor;
	size_t index; /* of the entry */
};

struct initrd_listing {
	struct listing *l;
	struct cpio *cpio;
	struct listing_digest digest;
	struct buffer ties;
	bool open; /* the last entry's content is being read */
};

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory to list what the initrd holds");
}

static int end_member(struct initrd_listing *w, struct error *err)
{
	struct listed *e = w->open ? &w->l->entries[w->l->n - 1] : NULL;

	w->open = false;
	return e ? listing_digest_end(&w->digest, w->l, e, err) : 0;
}

/* "./a", "/a" and "a" are one path; "." is the root. */
static int plain_path(const char *name, struct buffer *out, struct error *err)
{
	for (const char *p = name; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.')
			return error_set_kind(err, ERROR_INPUT, EUCLEAN,
			                      "the initrd has a path with \"..\": %.200s", name);
		if (n > 0 && !(n == 1 && p[0] == '.')) {
			if (out->size > 0)
				buffer_str(out, "/");
			buffer_append(out, p, n);
		}
		p += n;
		p += *p == '/';
	}
	return out->failed ? no_memory(err) : 0;
}

static int member(const struct cpio_member *m, void *data, struct error *err)
{
	struct initrd_listing *w = data;
	_cleanup_buffer_ struct buffer path = BUFFER_INIT;
	struct tie tie = {m->archive, m->ino, m->dev_major, m->dev_minor, w->l->n};
	struct listed *e;
	int r = end_member(w, err);

	if (r == 0)
		r = plain_path(m->name, &path, err);
	if (r < 0)
		return r;
	e = listing_add(w->l, buffer_cstr(&path), err);
	if (!e)
		return err ? err->code : -ENOMEM;
	e->mode = m->mode;
	e->uid = m->uid;
	e->gid = m->gid;
	e->nlink = m->nlink;
	e->rdev_major = m->rdev_major;
	e->rdev_minor = m->rdev_minor;
	e->size = S_ISREG(m->mode) || S_ISLNK(m->mode) ? m->size : 0;
	e->mtime = m->mtime;
	e->layout = e->size > 0 ? "archive" : NULL;
	buffer_append(&w->ties, &tie, sizeof(tie));
	w->open = S_ISREG(m->mode) || S_ISLNK(m->mode);
	return w->ties.failed ? no_memory(err) : listing_digest_start(&w->digest, w->l, err);
}

static int content(const uint8_t *p, size_t n, void *data, struct error *err)
{
	struct initrd_listing *w = data;

	return listing_digest_piece(p, n, &w->digest, err);
}

static const struct cpio_ops ops = {member, content};

static int feed(void *data, const uint8_t *p, size_t n, struct error *err)
{
	struct initrd_listing *w = data;

	return cpio_feed(w->cpio, p, n, err);
}

static int by_tie(const void *a, const void *b)
{
	const struct tie *x = a, *y = b;

	if (x->archive != y->archive)
		return x->archive < y->archive ? -1 : 1;
	if (x->dev_major != y->dev_major)
		return x->dev_major < y->dev_major ? -1 : 1;
	if (x->dev_minor != y->dev_minor)
		return x->dev_minor < y->dev_minor ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

static bool same_file(const struct tie *x, const struct tie *y)
{
	return x->archive == y->archive && x->ino == y->ino && x->dev_major == y->dev_major &&
	       x->dev_minor == y->dev_minor;
}

/* One of a file's names has its content: all get it. */
static void share_content(struct listing *l, const struct tie *ties, size_t n)
{
	const struct listed *full = NULL;

	for (size_t i = 0; i < n; i++)
		if (l->entries[ties[i].index].size > 0)
			full = &l->entries[ties[i].index];
	for (size_t i = 0; full && i < n; i++) {
		struct listed *e = &l->entries[ties[i].index];

		e->size = full->size;
		e->layout = full->layout;
		memcpy(e->digest, full->digest, sizeof(e->digest));
		memcpy(e->sha1, full->sha1, sizeof(e->sha1));
	}
}

static void resolve_links(struct initrd_listing *w)
{
	struct tie *ties = (struct tie *)(void *)w->ties.data;
	size_t n = w->ties.size / sizeof(*ties);

	if (n > 0)
		qsort(ties, n, sizeof(*ties), by_tie);
	for (size_t i = 0; i < n;) {
		const struct listed *e = &w->l->entries[ties[i].index];
		size_t end = i + 1;

		while (end < n && same_file(&ties[i], &ties[end]))
			end++;
		if (S_ISREG(e->mode) && e->nlink > 1)
			share_content(w->l, ties + i, end - i);
		i = end;
	}
}

/* What came first, marked by its index, is replaced by what came last. */
struct seen {
	const char *path;
	size_t index;
};

static int by_path(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;
	int r = strcmp(x->path, y->path);

	return r ?: (x->index > y->index) - (x->index < y->index);
}

static int keep_last(struct listing *l, struct error *err)
{
	_cleanup_free_ struct seen *seen = calloc(l->n + 1, sizeof(*seen));
	size_t kept = 0;

	if (!seen)
		return no_memory(err);
	for (size_t i = 0; i < l->n; i++)
		seen[i] = (struct seen){l->entries[i].path, i};
	qsort(seen, l->n, sizeof(*seen), by_path);
	for (size_t i = 0; i + 1 < l->n; i++)
		if (strcmp(seen[i].path, seen[i + 1].path) == 0)
			l->entries[seen[i].index].path = NULL;
	for (size_t i = 0; i < l->n; i++)
		if (l->entries[i].path)
			l->entries[kept++] = l->entries[i];
	l->n = kept;
	return 0;
}

int listing_initrd(struct listing *l, const struct place *place, struct error *err)
{
	struct initrd_listing w = {.l = l};
	int r = cpio_new(&ops, &w, &w.cpio, err);

	if (r == 0)
		r = unpack_file(place->fd, place->offset, place->size, feed, &w, err);
	if (r == 0)
		r = cpio_end(w.cpio, err);
	if (r == 0)
		r = end_member(&w, err);
	if (r == 0) {
		resolve_links(&w);
		r = keep_last(l, err);
	}
	cpio_free(w.cpio);
	listing_digest_free(&w.digest);
	buffer_free(&w.ties);
	return r;
}
