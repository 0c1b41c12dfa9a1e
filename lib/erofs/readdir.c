/* SPDX-License-Identifier: Apache-2.0 */
/* readdir: directories of an image: entries, lookup by path, walking everything. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/bytes.h"
#include "lib/erofs/image.h"
#include "lib/erofs/intern.h"
#include "lib/erofs/tree.h"

static int bad_directory(struct error *err, const struct erofs_stat *dir, const char *what)
{
	return image_damaged(err, "directory inode %llu: %s", (unsigned long long)dir->nid, what);
}

/* The bytes of block i of a directory's data, inline or not. */
static int directory_block(struct erofs_image *image, const struct erofs_stat *dir, uint64_t i,
                           const uint8_t **data, size_t *size, struct error *err)
{
	uint64_t start = i * EROFS_BLOCK_SIZE, tail_at;
	size_t want, have, in;
	uint32_t tail;
	int r;

	if (dir->layout != EROFS_LAYOUT_PLAIN && dir->layout != EROFS_LAYOUT_INLINE)
		return error_set_kind(err, ERROR_INPUT, EOPNOTSUPP,
		                      "this EROFS image has a compressed or chunked directory, "
		                      "which is not supported");
	want =
	    dir->size - start < EROFS_BLOCK_SIZE ? (size_t)(dir->size - start) : EROFS_BLOCK_SIZE;
	r = image_tail(dir, &tail_at, &tail, err);
	if (r < 0)
		return r;
	in = 0;
	if (tail && dir->size - start <= EROFS_BLOCK_SIZE) {
		in = (size_t)(tail_at % EROFS_BLOCK_SIZE);
		r = image_block(image, tail_at / EROFS_BLOCK_SIZE, data, &have, err);
	} else {
		r = image_block(image, dir->block + i, data, &have, err);
	}
	if (r < 0)
		return r;
	if (in + want > have)
		return bad_directory(err, dir, "beyond the image's end");
	*data += in;
	*size = want;
	return 0;
}

static int parse_dirent(const struct erofs_stat *dir, const uint8_t *data, size_t size,
                        uint32_t index, struct image_dirent *out, struct error *err)
{
	const uint8_t *p = data + (size_t)index * DIRENT_SIZE, *name;
	uint32_t names = get_le16(data + DIRENT_NAME_OFFSET);
	uint32_t at = get_le16(p + DIRENT_NAME_OFFSET), end;

	if ((index + 1) * DIRENT_SIZE < names)
		end = get_le16(p + DIRENT_SIZE + DIRENT_NAME_OFFSET);
	else
		end = (uint32_t)size;
	if (at < names || end > size || at >= end)
		return bad_directory(err, dir, "a name is outside of its block");
	name = data + at;
	/* The last name of a block may be followed by zeros. */
	if ((index + 1) * DIRENT_SIZE >= names)
		end = at + (uint32_t)strnlen((const char *)name, end - at);
	out->len = end - at;
	if (!out->len || out->len > EROFS_NAME_MAX || memchr(name, '\0', out->len) ||
	    memchr(name, '/', out->len))
		return bad_directory(err, dir, "an impossible name");
	memcpy(out->name, name, out->len);
	out->name[out->len] = '\0';
	out->nid = get_le64(p + DIRENT_NID);
	out->type = p[DIRENT_TYPE];
	return 0;
}

int image_next_dirent(struct erofs_image *image, const struct erofs_stat *dir,
                      struct image_dir_pos *pos, struct image_dirent *out, struct error *err)
{
	const uint8_t *data;
	uint32_t names;
	size_t size = 0;
	int r;

	if (pos->block >= dir->size / EROFS_BLOCK_SIZE + (dir->size % EROFS_BLOCK_SIZE != 0))
		return 0;
	r = directory_block(image, dir, pos->block, &data, &size, err);
	if (r < 0)
		return r;
	names = size < DIRENT_SIZE ? 0 : get_le16(data + DIRENT_NAME_OFFSET);
	if (!names || names % DIRENT_SIZE || names >= size)
		return bad_directory(err, dir, "a block without entries");
	r = parse_dirent(dir, data, size, pos->index, out, err);
	if (r < 0)
		return r;
	if (++pos->index == names / DIRENT_SIZE) {
		pos->block++;
		pos->index = 0;
	}
	return 1;
}

static int must_be_dir(const struct erofs_stat *st, struct error *err)
{
	if (S_ISDIR(st->mode))
		return 0;
	return error_set_kind(err, ERROR_INPUT, ENOTDIR, "inode %llu is not a directory",
	                      (unsigned long long)st->nid);
}

int erofs_readdir(struct erofs_image *image, const struct erofs_stat *dir, erofs_dirent_fn fn,
                  void *data, struct error *err)
{
	struct image_dir_pos pos = {0};
	struct image_dirent d;
	int r = must_be_dir(dir, err);

	while (r == 0 && (r = image_next_dirent(image, dir, &pos, &d, err)) > 0)
		r = fn(d.name, d.len, d.nid, d.type, data);
	return r;
}

int erofs_lookup(struct erofs_image *image, const char *path, size_t len, struct erofs_stat *out,
                 struct error *err)
{
	int r = erofs_stat_nid(image, image->super.root_nid, out, err);

	while (r == 0 && len) {
		const char *slash = memchr(path, '/', len);
		size_t n = slash ? (size_t)(slash - path) : len;
		struct image_dir_pos pos = {0};
		struct image_dirent d;

		if (n && !(n == 1 && *path == '.')) {
			r = must_be_dir(out, err);
			while (r == 0 && (r = image_next_dirent(image, out, &pos, &d, err)) > 0)
				if (d.len == n && memcmp(d.name, path, n) == 0)
					break;
				else
					r = 0;
			if (r == 0)
				return error_set_kind(err, ERROR_INPUT, ENOENT,
				                      "no such file in the EROFS image");
			r = r < 0 ? r : erofs_stat_nid(image, d.nid, out, err);
		}
		path += n + (slash != NULL);
		len -= n + (slash != NULL);
	}
	return r;
}

/* ---------------------------------------------------------------- the whole image */

struct frame {
	struct erofs_stat dir;
	struct image_dir_pos pos;
	size_t path_len; /* with a slash, 0 for the root */
};

struct walk {
	struct erofs_image *image;
	erofs_walk_fn fn;
	void *data;
	struct buffer frames; /* struct frame, the innermost last */
	struct arena arena;
	struct hash_key key;
	struct intern seen;    /* directory inode numbers */
	uint64_t entries_left; /* more do not fit in the image unless directories overlap */
	char path[EROFS_PATH_MAX + 1];
};

static int enter(struct walk *w, const struct erofs_stat *st, size_t path_len, struct error *err)
{
	struct frame f = {.dir = *st, .path_len = path_len};
	struct interned *seen = intern_get(&w->seen, &w->arena, &w->key, &st->nid, sizeof(st->nid));

	if (seen && seen->refs++)
		return bad_directory(err, st, "reached by two paths");
	if (seen)
		buffer_append(&w->frames, &f, sizeof(f));
	if (!seen || w->frames.failed)
		return error_set(err, ENOMEM, "out of memory while walking an EROFS image");
	return 0;
}

static int visit(struct walk *w, size_t dir_len, const struct image_dirent *d, struct error *err)
{
	struct erofs_stat st;
	int r = erofs_stat_nid(w->image, d->nid, &st, err);

	if (r < 0)
		return r;
	if (!w->entries_left--)
		return image_damaged(err, "directories overlap");
	if (dir_len + d->len + 1 > EROFS_PATH_MAX)
		return image_damaged(err, "a path of more than %d bytes", EROFS_PATH_MAX);
	memcpy(w->path + dir_len, d->name, d->len + 1);
	r = w->fn ? w->fn(w->path, &st, w->data) : 0;
	if (r || !S_ISDIR(st.mode))
		return r;
	w->path[dir_len + d->len] = '/';
	return enter(w, &st, dir_len + d->len + 1, err);
}

static int walk_all(struct walk *w, struct error *err)
{
	struct erofs_stat root;
	struct image_dirent d;
	int r = erofs_stat_nid(w->image, w->image->super.root_nid, &root, err);

	if (r == 0)
		r = must_be_dir(&root, err);
	if (r == 0 && w->fn)
		r = w->fn("", &root, w->data);
	if (r == 0)
		r = enter(w, &root, 0, err);
	while (r == 0 && w->frames.size) {
		size_t at = w->frames.size - sizeof(struct frame);
		struct frame f;

		memcpy(&f, w->frames.data + at, sizeof(f));
		r = image_next_dirent(w->image, &f.dir, &f.pos, &d, err);
		memcpy(w->frames.data + at, &f, sizeof(f));
		if (r == 0)
			w->frames.size = at;
		if (r <= 0)
			continue;
		r = strcmp(d.name, ".") == 0 || strcmp(d.name, "..") == 0
		        ? 0
		        : visit(w, f.path_len, &d, err);
	}
	return r;
}

int erofs_walk(struct erofs_image *image, erofs_walk_fn fn, void *data, struct error *err)
{
	struct walk *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return error_set(err, ENOMEM, "out of memory while walking an EROFS image");
	w->image = image;
	w->fn = fn;
	w->data = data;
	w->entries_left = image->size / DIRENT_SIZE;
	hash_key_init(&w->key);
	r = walk_all(w, err);
	buffer_free(&w->frames);
	intern_free(&w->seen);
	arena_free(&w->arena);
	free(w);
	return r;
}
