/* SPDX-License-Identifier: Apache-2.0 */
/* tar: the reader's states, and what header, extended headers and map make together. */
#include "lib/image/tar.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum state {
	HEADER,     /* collecting a header block */
	EXTENDED,   /* collecting the body of an extended header or long name */
	SPARSE_GNU, /* collecting a block of a GNU sparse map */
	SPARSE_PAX, /* collecting blocks of a map in front of the bytes */
	CONTENT,
	IGNORED, /* content of a member that means nothing here */
	DONE,
};

struct tar {
	struct tar_sink sink;
	void *data;
	struct tar_limits limits;
	uint64_t entries, total;

	enum state state;
	uint8_t block[TAR_BLOCK]; /* being collected */
	size_t have;
	unsigned int zero_blocks;
	uint64_t left;          /* bytes of the body or content to come */
	unsigned int padding;   /* and then bytes to drop */
	struct buffer *collect; /* EXTENDED: where the body goes */

	struct tar_header header;
	struct tar_pax local, global;
	struct buffer long_name, long_link; /* GNU 'L' and 'K' */
	struct buffer lines;                /* SPARSE_PAX: the map so far */
	struct tar_xattr xattrs[TAR_XATTR_MAX];
	bool sparse;      /* the member has a map: local.map */
	size_t piece;     /* ... of which this piece is written */
	uint64_t at;      /* ... up to here in the file */
	uint64_t logical; /* the file's size */
};

int tar_new(const struct tar_sink *sink, void *data, const struct tar_limits *limits,
            struct tar **out, struct error *err)
{
	struct tar *t = calloc(1, sizeof(*t));

	if (!t)
		return error_set(err, ENOMEM, "out of memory");
	t->sink = *sink;
	t->data = data;
	t->limits = *limits;
	t->local.body.limit = t->global.body.limit = limits->max_header;
	t->long_name.limit = t->long_link.limit = limits->max_header;
	*out = t;
	return 0;
}

void tar_free(struct tar *t)
{
	if (!t)
		return;
	tar_pax_free(&t->local);
	tar_pax_free(&t->global);
	buffer_free(&t->long_name);
	buffer_free(&t->long_link);
	buffer_free(&t->lines);
	free(t);
}

/* Forgets what belonged to one member. */
static void next_member(struct tar *t)
{
	tar_pax_clear(&t->local);
	buffer_clear(&t->long_name);
	buffer_clear(&t->long_link);
	buffer_clear(&t->lines);
	t->sparse = false;
	t->state = HEADER;
}

static unsigned int padding_of(uint64_t size)
{
	return (unsigned int)(-size & (TAR_BLOCK - 1));
}

/* ---- what the member is */

static const struct {
	char flag;
	enum tar_type type;
} types[] = {
    {'0', TAR_FILE},     {'\0', TAR_FILE},   {'7', TAR_FILE}, {'S', TAR_FILE},
    {'1', TAR_HARDLINK}, {'2', TAR_SYMLINK}, {'3', TAR_CHAR}, {'4', TAR_BLOCK_DEVICE},
    {'5', TAR_DIR},      {'6', TAR_FIFO},
};

/* Labels of GNU volumes: bytes that mean nothing in a layer. */
static bool is_ignored(char flag)
{
	return flag == 'V';
}

static int find_type(const struct tar *t, const char *path, enum tar_type *out, struct error *err)
{
	char flag = t->header.type;
	size_t n = strlen(path);

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].flag != flag)
			continue;
		*out = types[i].type;
		/* v7 had no type for directories. */
		if (flag == '\0' && n && path[n - 1] == '/')
			*out = TAR_DIR;
		return 0;
	}
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "\"%.100s\" is of the unknown tar type '%c'", path,
	                      flag >= ' ' && flag <= '~' ? flag : '?');
}

/* A record of this member's, else of a global header; "" takes back the latter. */
static const char *choose(const char *local, const char *global, const char *otherwise)
{
	const char *s = local ? local : global;

	return s && *s ? s : otherwise;
}

static const char *path_of(const struct tar *t)
{
	const char *plain = t->long_name.size ? buffer_cstr(&t->long_name) : t->header.name;

	if (t->local.sparse_name)
		return t->local.sparse_name;
	return choose(t->local.path, t->global.path, plain);
}

static const char *link_of(const struct tar *t)
{
	const char *plain = t->long_link.size ? buffer_cstr(&t->long_link) : t->header.link;

	return choose(t->local.linkpath, t->global.linkpath, plain);
}

static int owner(const struct tar *t, const char *path, uint64_t plain, bool has_local,
                 uint64_t local, bool has_global, uint64_t global, uint32_t *out, struct error *err)
{
	uint64_t v = has_local ? local : has_global ? global : plain;

	(void)t;
	if (v >= UINT32_MAX)
		return error_set_kind(err, ERROR_INPUT, ERANGE,
		                      "\"%.100s\" belongs to the impossible id %llu", path,
		                      (unsigned long long)v);
	*out = (uint32_t)v;
	return 0;
}

/* The member's own xattrs, and those of the global header that it does not name. */
static size_t merge_xattrs(struct tar *t)
{
	size_t n = t->local.n_xattrs;

	memcpy(t->xattrs, t->local.xattrs, n * sizeof(*t->xattrs));
	for (size_t i = 0; i < t->global.n_xattrs && n < TAR_XATTR_MAX; i++) {
		size_t k;

		for (k = 0; k < t->local.n_xattrs; k++)
			if (!strcmp(t->local.xattrs[k].name, t->global.xattrs[i].name))
				break;
		if (k == t->local.n_xattrs)
			t->xattrs[n++] = t->global.xattrs[i];
	}
	return n;
}

static int give_entry(struct tar *t, struct error *err)
{
	const struct tar_pax *l = &t->local, *g = &t->global;
	struct tar_entry e = {.path = path_of(t), .link = link_of(t), .mode = t->header.mode};
	int r = find_type(t, e.path, &e.type, err);

	if (!r)
		r = owner(t, e.path, t->header.uid, l->has_uid, l->uid, g->has_uid, g->uid, &e.uid,
		          err);
	if (!r)
		r = owner(t, e.path, t->header.gid, l->has_gid, l->gid, g->has_gid, g->gid, &e.gid,
		          err);
	if (r)
		return r;
	if (l->has_mtime || g->has_mtime) {
		e.mtime = l->has_mtime ? l->mtime : g->mtime;
		e.mtime_ns = l->has_mtime ? l->mtime_ns : g->mtime_ns;
	} else {
		e.mtime = t->header.mtime;
	}
	e.major = t->header.major;
	e.minor = t->header.minor;
	e.xattrs = t->xattrs;
	e.n_xattrs = merge_xattrs(t);
	if (e.type == TAR_FILE)
		e.size = t->logical;
	if (++t->entries > t->limits.max_entries)
		return error_set_kind(err, ERROR_INPUT, E2BIG,
		                      "a layer of more than %llu files (limit)",
		                      (unsigned long long)t->limits.max_entries);
	if (__builtin_add_overflow(t->total, e.size, &t->total) || t->total > t->limits.max_size)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "the layer unpacks to more than %llu bytes (limit)",
		                      (unsigned long long)t->limits.max_size);
	return t->sink.entry(t->data, &e, err);
}

static int finish_entry(struct tar *t, struct error *err)
{
	int r = 0;

	/* What comes after the last stored piece is a hole. */
	if (t->sparse && t->at < t->logical)
		r = t->sink.content(t->data, NULL, t->logical - t->at, err);
	if (!r)
		r = t->sink.end(t->data, err);
	next_member(t);
	return r;
}

/* Header, extended headers and map are there: t->left bytes of content follow. */
static int begin_content(struct tar *t, struct error *err)
{
	int r;

	if (t->sparse) {
		r = tar_sparse_check(&t->local.map, t->left, err);
		if (r)
			return error_prefix(err, r, "\"%.100s\"", path_of(t));
		t->logical = t->local.map.real_size;
		t->piece = 0;
		t->at = 0;
	} else {
		t->logical = t->left;
	}
	r = give_entry(t, err);
	if (r)
		return r;
	t->state = CONTENT;
	return t->left ? 0 : finish_entry(t, err);
}

/* ---- headers */

static int begin_extended(struct tar *t, struct buffer *into, struct error *err)
{
	if (t->left > t->limits.max_header)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "a tar header of %llu bytes: at most %zu are read",
		                      (unsigned long long)t->left, t->limits.max_header);
	buffer_clear(into);
	t->collect = into;
	t->state = EXTENDED;
	return 0;
}

static int end_extended(struct tar *t, struct error *err)
{
	t->state = HEADER;
	if (t->collect->failed)
		return error_set(err, ENOMEM, "out of memory");
	if (t->collect == &t->local.body)
		return tar_pax_parse(&t->local, err);
	if (t->collect == &t->global.body)
		return tar_pax_parse(&t->global, err);
	return 0;
}

/* A file, or something that has no content whatever its size says. */
static int begin_member(struct tar *t, struct error *err)
{
	bool gnu_sparse = t->header.type == 'S', more = false;
	int r = 0;

	if (t->local.has_size || t->global.has_size)
		t->left = t->local.has_size ? t->local.size : t->global.size;
	if (t->left > INT64_MAX)
		return error_set_kind(err, ERROR_INPUT, EFBIG, "\"%.100s\" has an impossible size",
		                      path_of(t));
	if (t->header.type >= '1' && t->header.type <= '6')
		t->left = 0;
	t->padding = padding_of(t->left);
	t->sparse =
	    (gnu_sparse || t->local.sparse) && !(t->header.type >= '1' && t->header.type <= '6');
	if (is_ignored(t->header.type)) {
		t->state = IGNORED;
		if (!t->left)
			next_member(t);
		return 0;
	}
	if (gnu_sparse) {
		tar_sparse_clear(&t->local.map);
		r = tar_sparse_gnu_header(&t->local.map, t->block, &more, err);
		if (!r && more) {
			t->state = SPARSE_GNU;
			return 0;
		}
	} else if (t->sparse && t->local.sparse_body) {
		t->state = SPARSE_PAX;
		return 0;
	}
	return r ? r : begin_content(t, err);
}

static int on_header(struct tar *t, struct error *err)
{
	int r = tar_header_parse(t->block, &t->header, err);

	if (r < 0)
		return r;
	if (r == 1) {
		if (++t->zero_blocks == 2)
			t->state = DONE;
		return 0;
	}
	t->zero_blocks = 0;
	t->left = t->header.size;
	t->padding = padding_of(t->left);
	switch (t->header.type) {
	case 'x':
	case 'X': /* Solaris */
		tar_pax_clear(&t->local);
		r = begin_extended(t, &t->local.body, err);
		break;
	case 'g':
		tar_pax_clear(&t->global);
		r = begin_extended(t, &t->global.body, err);
		break;
	case 'L':
		r = begin_extended(t, &t->long_name, err);
		break;
	case 'K':
		r = begin_extended(t, &t->long_link, err);
		break;
	default:
		return begin_member(t, err);
	}
	return r ? r : t->left ? 0 : end_extended(t, err);
}

static int on_sparse_gnu(struct tar *t, struct error *err)
{
	bool more;
	int r = tar_sparse_gnu_block(&t->local.map, t->block, &more, err);

	return r || more ? r : begin_content(t, err);
}

/* The map's blocks count among the member's bytes. */
static int on_sparse_pax(struct tar *t, struct error *err)
{
	int r;

	if (t->left < TAR_BLOCK)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the map of a sparse file is broken");
	t->left -= TAR_BLOCK;
	buffer_append(&t->lines, t->block, TAR_BLOCK);
	if (t->lines.failed)
		return error_set(err, ENOMEM, "out of memory");
	r = tar_sparse_lines(&t->local.map, t->lines.data, t->lines.size, err);
	if (r)
		return r < 0 ? r : 0;
	return begin_content(t, err);
}

static int on_block(struct tar *t, struct error *err)
{
	switch (t->state) {
	case SPARSE_GNU:
		return on_sparse_gnu(t, err);
	case SPARSE_PAX:
		return on_sparse_pax(t, err);
	default:
		return on_header(t, err);
	}
}

/* ---- bytes */

/* Stored bytes of a sparse file, into their places. */
static int give_sparse(struct tar *t, const uint8_t *p, size_t n, struct error *err)
{
	while (n) {
		const struct tar_piece *piece = &t->local.map.v[t->piece];
		uint64_t room = piece->offset + piece->size - t->at;
		size_t part;
		int r = 0;

		if (t->at < piece->offset) {
			r = t->sink.content(t->data, NULL, piece->offset - t->at, err);
			t->at = piece->offset;
			room = piece->size;
		}
		part = n < room ? n : (size_t)room;
		if (!r && part)
			r = t->sink.content(t->data, p, part, err);
		if (r)
			return r;
		t->at += part;
		p += part;
		n -= part;
		if (part == room)
			t->piece++;
	}
	return 0;
}

static int give_bytes(struct tar *t, const uint8_t *p, size_t n, struct error *err)
{
	switch (t->state) {
	case EXTENDED:
		buffer_append(t->collect, p, n);
		return 0;
	case CONTENT:
		return t->sparse ? give_sparse(t, p, n, err) : t->sink.content(t->data, p, n, err);
	default:
		return 0;
	}
}

static int end_bytes(struct tar *t, struct error *err)
{
	switch (t->state) {
	case EXTENDED:
		return end_extended(t, err);
	case CONTENT:
		return finish_entry(t, err);
	default:
		next_member(t);
		return 0;
	}
}

static bool collects_blocks(enum state s)
{
	return s == HEADER || s == SPARSE_GNU || s == SPARSE_PAX;
}

static size_t take(size_t n, uint64_t want)
{
	return n < want ? n : (size_t)want;
}

int tar_feed(struct tar *t, const uint8_t *p, size_t n, struct error *err)
{
	while (n && t->state != DONE) {
		size_t part;
		int r = 0;

		if (t->state == HEADER && t->padding) {
			part = take(n, t->padding);
			t->padding -= (unsigned int)part;
		} else if (collects_blocks(t->state)) {
			part = take(n, TAR_BLOCK - t->have);
			memcpy(t->block + t->have, p, part);
			t->have += part;
			if (t->have == TAR_BLOCK) {
				t->have = 0;
				r = on_block(t, err);
			}
		} else {
			part = take(n, t->left);
			r = give_bytes(t, p, part, err);
			t->left -= part;
			if (!r && !t->left)
				r = end_bytes(t, err);
		}
		if (r)
			return r;
		p += part;
		n -= part;
	}
	return 0;
}

uint64_t tar_content_left(const struct tar *t)
{
	return t->state == CONTENT && !t->sparse ? t->left : 0;
}

int tar_skip(struct tar *t, uint64_t n, struct error *err)
{
	if (n > tar_content_left(t))
		return error_set(err, EINVAL, "tar: skipping more than there is");
	t->left -= n;
	return n && !t->left ? end_bytes(t, err) : 0;
}

int tar_end(struct tar *t, struct error *err)
{
	bool between = t->state == HEADER && !t->have && !t->padding && !t->local.body.size &&
	               !t->long_name.size && !t->long_link.size;

	if (t->state == DONE || between)
		return 0;
	return error_set_kind(err, ERROR_INPUT, ENODATA, "the tar archive ends in the middle");
}
