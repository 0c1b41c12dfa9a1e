/* SPDX-License-Identifier: Apache-2.0 */
/* layout: placing inodes, xattrs, directories and content. */
#include "lib/erofs/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/erofs/pack.h"

#define MEASURED   UINT32_MAX /* in `slot`: counted, not placed */
#define GAPS_TRIED 64         /* how many gaps a piece is tried in before it goes to the end */

void layout_free(struct layout *l)
{
	free(l->gaps);
	l->gaps = NULL;
}

struct erofs_node *layout_next_dir(struct erofs_node *dir)
{
	struct erofs_entry *e = erofs_node_children(dir), *up = dir->self;

	for (;;) {
		for (; e; e = e->next)
			if (node_is_dir(e->node))
				return e->node;
		if (!up)
			return NULL;
		e = up->next;
		up = up->dir->self;
	}
}

/* ---------------------------------------------------------------- directories */

void dir_iter_init(struct dir_iter *it, struct erofs_node *dir)
{
	*it = (struct dir_iter){dir, erofs_node_children(dir), 0};
}

struct dirent_view {
	const char *name;
	uint8_t len;
	const struct erofs_node *node;
};

static bool dir_iter_next(struct dir_iter *it, struct dirent_view *out)
{
	const struct erofs_node *dir = it->dir;

	if (it->dots < 2 && (!it->next || erofs_name_compare(it->next->name, it->next->name_len,
	                                                     "..", it->dots + 1u) > 0)) {
		it->dots++;
		*out = (struct dirent_view){"..", (uint8_t)it->dots, dir};
		if (it->dots == 2 && dir->self)
			out->node = dir->self->dir;
		return true;
	}
	if (!it->next)
		return false;
	*out = (struct dirent_view){it->next->name, it->next->name_len, it->next->node};
	it->next = it->next->next;
	return true;
}

uint32_t dir_iter_block(struct dir_iter *it, uint8_t *block)
{
	struct dir_iter from = *it, ahead = *it;
	struct dirent_view d;
	uint32_t n = 0, used = 0, name_at;

	while (dir_iter_next(&ahead, &d) && used + DIRENT_SIZE + d.len <= EROFS_BLOCK_SIZE) {
		used += DIRENT_SIZE + d.len;
		n++;
		*it = ahead;
	}
	if (!block)
		return used;
	name_at = n * DIRENT_SIZE;
	for (uint32_t i = 0; i < n && dir_iter_next(&from, &d); i++) {
		uint8_t *p = block + i * DIRENT_SIZE;

		put_le64(p + DIRENT_NID, d.node->slot);
		put_le16(p + DIRENT_NAME_OFFSET, (uint16_t)name_at);
		p[DIRENT_TYPE] = erofs_file_type(d.node->mode);
		memcpy(block + name_at, d.name, d.len);
		name_at += d.len;
	}
	return used;
}

/* Sorts the children, too; counts what the inode says about them. */
static void measure_directory(struct erofs_node *dir)
{
	struct dir_iter it;
	uint32_t used;

	dir->size = 0;
	dir->nlink = erofs_node_nlink(dir);
	dir_iter_init(&it, dir);
	while ((used = dir_iter_block(&it, NULL)) > 0)
		/* Every block but the last is whole. */
		dir->size =
		    (dir->size + EROFS_BLOCK_SIZE - 1) / EROFS_BLOCK_SIZE * EROFS_BLOCK_SIZE + used;
}

/* ---------------------------------------------------------------- room */

static int add_gap(struct layout *l, uint64_t block, uint64_t n, struct error *err)
{
	if (l->n_gaps == l->gaps_room) {
		size_t room = l->gaps_room ? l->gaps_room * 2 : 16;
		struct gap *g = reallocarray(l->gaps, room, sizeof(*g));

		if (!g)
			return error_set(err, ENOMEM, "out of memory while placing files");
		l->gaps = g;
		l->gaps_room = room;
	}
	l->gaps[l->n_gaps++] = (struct gap){block, n};
	return 0;
}

static uint64_t take_from_gaps(struct layout *l, uint64_t n)
{
	size_t tried = 0;

	while (l->first_gap < l->n_gaps && !l->gaps[l->first_gap].n)
		l->first_gap++;
	for (size_t i = l->first_gap; i < l->n_gaps && tried < GAPS_TRIED; i++, tried++) {
		struct gap *g = &l->gaps[i];
		uint64_t at = g->block;

		if (g->n < n)
			continue;
		g->block += n;
		g->n -= n;
		return at;
	}
	return 0;
}

/* n blocks, at a multiple of `align` blocks; block 0 is never given. */
static int take(struct layout *l, uint64_t n, uint32_t align, uint32_t *block, struct error *err)
{
	uint64_t at = 0;

	*block = 0;
	if (!n)
		return 0;
	if (align == 1)
		at = take_from_gaps(l, n);
	if (!at) {
		at = (l->end + align - 1) / align * align;
		if (at > l->end) {
			int r = add_gap(l, l->end, at - l->end, err);

			if (r < 0)
				return r;
		}
		/* The last block number means "none" in chunk maps; keep clear of it. */
		if (n > UINT32_MAX - 1 || at > UINT32_MAX - 1 - n)
			return error_set_kind(err, ERROR_INPUT, EFBIG,
			                      "an EROFS image holds at most 16 TiB");
		l->end = at + n;
	}
	*block = (uint32_t)at;
	return 0;
}

/* ---------------------------------------------------------------- inodes and xattrs */

size_t layout_xattr_size(const struct erofs_node *n, unsigned int *n_shared)
{
	size_t size = XATTR_HEADER_SIZE;

	*n_shared = 0;
	if (!n->xattrs)
		return 0;
	for (size_t i = 0; i < xattr_set_count(n->xattrs); i++) {
		const struct interned *item = xattr_set_item(n->xattrs, i);

		if (layout_is_shared(item, *n_shared)) {
			size += 4;
			(*n_shared)++;
		} else {
			size += layout_xattr_entry_size(xattr_item_key(item));
		}
	}
	return size;
}

static void forget(const struct layout *l, struct erofs_node *n)
{
	n->slot = 0;
	n->flags &= (uint8_t) ~(NODE_INLINE | NODE_EXTENDED | (l->packed ? 0 : NODE_PACKED));
	if (node_is_file(n) && n->content != CONTENT_EXTENT && !(n->flags & NODE_PACKED))
		n->block = 0;
	if (node_is_link(n))
		n->target->place = 0;
	for (size_t i = 0; i < xattr_set_count(n->xattrs); i++) {
		struct interned *item = xattr_set_item(n->xattrs, i);

		item->refs = 0;
		item->place = 0;
		item->next = NULL;
	}
}

static void measure(struct layout *l, struct erofs_node *n)
{
	if (n->slot)
		return;
	n->slot = MEASURED;
	l->inodes++;
	if (node_is_dir(n))
		measure_directory(n);
	if (node_is_file(n))
		l->data_bytes += n->size;
	for (size_t i = 0; i < xattr_set_count(n->xattrs); i++)
		xattr_set_item(n->xattrs, i)->refs++;
	if (n->uid > UINT16_MAX || n->gid > UINT16_MAX || n->nlink > UINT16_MAX ||
	    n->size > UINT32_MAX || n->mtime != l->opts->build_time ||
	    n->mtime_ns != l->opts->build_time_ns)
		n->flags |= NODE_EXTENDED;
}

/* Gives every shared xattr of the node its place, once. */
static int place_shared(struct layout *l, const struct erofs_node *n, struct error *err)
{
	unsigned int shared = 0;

	for (size_t i = 0; i < xattr_set_count(n->xattrs); i++) {
		struct interned *item = xattr_set_item(n->xattrs, i);

		if (!layout_is_shared(item, shared))
			continue;
		shared++;
		if (item->place)
			continue;
		if (l->shared_size / 4 + EROFS_BLOCK_SIZE / 4 > UINT32_MAX)
			return error_set_kind(err, ERROR_INPUT, EFBIG,
			                      "more than 16 GiB of extended attributes");
		item->place = (uint32_t)(l->shared_size / 4 + 1);
		l->shared_size += layout_xattr_entry_size(xattr_item_key(item));
		*l->shared_tail = item;
		l->shared_tail = &item->next;
	}
	return 0;
}

/* Inode, xattrs and tail in one block, when the tail is not to have a block of its own.
 * Padding to the next block must cost less than that block. */
static void choose_inline(const struct layout *l, struct erofs_node *n, size_t head, uint64_t *at)
{
	uint64_t in_block = *at % EROFS_BLOCK_SIZE, tail = n->size % EROFS_BLOCK_SIZE;

	if (!(l->opts->flags & EROFS_WRITE_INLINE_META) || !tail ||
	    !(node_is_dir(n) || node_is_link(n)) || head + tail > EROFS_BLOCK_SIZE)
		return;
	if (in_block + head + tail > EROFS_BLOCK_SIZE) {
		if (EROFS_BLOCK_SIZE - in_block > EROFS_BLOCK_SIZE - tail)
			return;
		*at += EROFS_BLOCK_SIZE - in_block;
	}
	n->flags |= NODE_INLINE;
}

static int place_inode(struct layout *l, struct erofs_node *n, struct error *err)
{
	unsigned int n_shared;
	uint64_t at = l->meta_at;
	size_t size = n->flags & NODE_EXTENDED ? INODE_EXTENDED_SIZE : INODE_COMPACT_SIZE;
	int r;

	if (n->slot != MEASURED)
		return 0;
	r = place_shared(l, n, err);
	if (r < 0)
		return r;
	/* The kernel reads an inode that crosses a block by copying; spare it that. */
	if (at % EROFS_BLOCK_SIZE + size > EROFS_BLOCK_SIZE)
		at += EROFS_SLOT_SIZE;
	size += layout_xattr_size(n, &n_shared);
	choose_inline(l, n, size, &at);
	size += layout_tail(n);
	if (n->flags & NODE_PACKED)
		size += packed_index_size(at + size, n->size);
	if (node_is_chunked(n)) {
		size += 4 * layout_chunks(n);
		l->chunked = true;
	}
	if (at / EROFS_SLOT_SIZE >= MEASURED)
		return error_set_kind(err, ERROR_INPUT, EFBIG, "more than 128 GiB of inodes");
	n->slot = (uint32_t)(at / EROFS_SLOT_SIZE);
	l->meta_at = (at + size + EROFS_SLOT_SIZE - 1) & ~(uint64_t)(EROFS_SLOT_SIZE - 1);
	return 0;
}

/* ---------------------------------------------------------------- content */

static bool wants_huge(const struct layout *l, const struct erofs_node *n)
{
	return l->opts->flags & EROFS_WRITE_HUGE && n->size >= EROFS_HUGE_SIZE;
}

static int place_file(struct layout *l, struct erofs_node *n, bool huge, struct error *err)
{
	if (!node_is_file(n) || !n->size || wants_huge(l, n) != huge)
		return 0;
	if (n->content == CONTENT_NONE || n->content == CONTENT_EXTENT ||
	    n->content == CONTENT_CHUNKS)
		return 0;
	return take(l, layout_blocks(n->size), huge ? EROFS_HUGE_SIZE / EROFS_BLOCK_SIZE : 1,
	            &n->block, err);
}

/* Equal targets share one block. */
static int place_link(struct layout *l, struct erofs_node *n, struct error *err)
{
	int r = 0;

	n->block = 0;
	if (n->flags & NODE_INLINE)
		return 0;
	if (!n->target->place) {
		l->meta_bytes += EROFS_BLOCK_SIZE;
		r = take(l, 1, 1, &n->target->place, err);
	}
	n->block = n->target->place;
	return r;
}

enum step { FORGET, MEASURE, INODES, HUGE_FILES, HOT_FILES, DIRECTORIES, SMALL_FILES, N_STEPS };

/* Placing twice is harmless but wasteful: a hard link's node is placed at its first
 * name, which its block then tells. */
static int do_step(struct layout *l, enum step step, struct erofs_node *n, struct error *err)
{
	switch (step) {
	case FORGET:
		forget(l, n);
		return 0;
	case MEASURE:
		measure(l, n);
		return 0;
	case INODES:
		return place_inode(l, n, err);
	case DIRECTORIES:
		if (node_is_dir(n)) {
			l->meta_bytes += layout_data_blocks(n) * EROFS_BLOCK_SIZE;
			return take(l, layout_data_blocks(n), 1, &n->block, err);
		}
		return node_is_link(n) ? place_link(l, n, err) : 0;
	case HOT_FILES:
		if (!(n->flags & NODE_HOT))
			return 0;
		/* fall through */
	default:
		return node_is_file(n) && n->block ? 0 : place_file(l, n, step == HUGE_FILES, err);
	}
}

/* The metadata's room: behind what is streamed, or block 1. */
static int place_metadata(struct layout *l, struct error *err)
{
	uint32_t block;
	int r;

	/* Shared xattrs follow the last inode, at 4 bytes. */
	l->shared_at = l->meta_block * EROFS_BLOCK_SIZE + l->meta_at;
	l->meta_bytes = EROFS_BLOCK_SIZE + l->meta_at + l->shared_size;
	r = take(l, layout_blocks(l->meta_at + l->shared_size), 1, &block, err);
	if (r == 0 && block != l->meta_block)
		return error_set(err, EIO, "the metadata was placed twice");
	return r;
}

int layout_make(struct layout *l, struct erofs_tree *tree, const struct erofs_write_opts *opts,
                const struct packed *packed, uint64_t end, struct error *err)
{
	*l = (struct layout){
	    .tree = tree,
	    .opts = opts,
	    .packed = packed,
	    .end = end,
	    .meta_block = end,
	    .meta_at = EROFS_SLOT_SIZE,
	};
	l->shared_tail = &l->shared;
	for (enum step step = FORGET; step < N_STEPS; step++) {
		int r;

		if (step == HOT_FILES && !packed)
			continue;
		r = do_step(l, step, &tree->root, err);
		for (struct erofs_node *dir = &tree->root; dir && r == 0;
		     dir = layout_next_dir(dir))
			for (struct erofs_entry *e = erofs_node_children(dir); e && r == 0;
			     e = e->next)
				r = do_step(l, step, e->node, err);
		if (r == 0 && step == INODES)
			r = place_metadata(l, err);
		if (r < 0)
			return r;
	}
	return 0;
}
