/* SPDX-License-Identifier: Apache-2.0 */
/* emit: metadata as bytes. The on-disk structures are in format.h. */
#include "lib/erofs/emit.h"

#include <string.h>

#include "lib/base/bytes.h"
#include "lib/erofs/format.h"
#include "lib/erofs/pack.h"
#include "lib/erofs/reader.h"

/* ---------------------------------------------------------------- inodes */

static uint16_t xattr_count_field(size_t size)
{
	return size ? (uint16_t)((size - XATTR_HEADER_SIZE) / 4 + 1) : 0;
}

static unsigned int inode_layout(const struct erofs_node *n)
{
	if (n->flags & NODE_PACKED)
		return EROFS_LAYOUT_COMPRESSED_FULL;
	if (node_is_chunked(n))
		return EROFS_LAYOUT_CHUNKED;
	return n->flags & NODE_INLINE ? EROFS_LAYOUT_INLINE : EROFS_LAYOUT_PLAIN;
}

/* Fills p (64 zeroed bytes); how many are the inode. */
static size_t inode_bytes(const struct layout *l, const struct erofs_node *n, uint32_t ino,
                          size_t xattr_size, uint8_t *p)
{
	unsigned int layout = inode_layout(n);
	bool extended = n->flags & NODE_EXTENDED;
	uint32_t u = n->flags & NODE_PACKED ? packed_file(l->packed, n)->blocks : n->block;

	if (node_is_chunked(n))
		u = EROFS_CHUNK_BITS - EROFS_BLOCK_BITS;
	put_le16(p + INODE_FORMAT, (uint16_t)(layout << INODE_FORMAT_LAYOUT_SHIFT |
	                                      (extended ? INODE_FORMAT_EXTENDED : 0)));
	put_le16(p + INODE_XATTR_COUNT, xattr_count_field(xattr_size));
	put_le16(p + INODE_MODE, n->mode);
	put_le32(p + INODE_U, u);
	put_le32(p + INODE_INO, ino);
	if (!extended) {
		put_le16(p + INODE_C_NLINK, (uint16_t)n->nlink);
		put_le32(p + INODE_SIZE, (uint32_t)n->size);
		put_le16(p + INODE_C_UID, (uint16_t)n->uid);
		put_le16(p + INODE_C_GID, (uint16_t)n->gid);
		return INODE_COMPACT_SIZE;
	}
	put_le64(p + INODE_SIZE, n->size);
	put_le32(p + INODE_X_UID, n->uid);
	put_le32(p + INODE_X_GID, n->gid);
	put_le64(p + INODE_X_MTIME, (uint64_t)n->mtime);
	put_le32(p + INODE_X_MTIME_NS, n->mtime_ns);
	put_le32(p + INODE_X_NLINK, n->nlink);
	return INODE_EXTENDED_SIZE;
}

static int emit_xattr(struct sink *s, uint64_t *at, const struct interned *item, struct error *err)
{
	static const uint8_t zeros[4];
	const struct xattr_key *k = xattr_item_key(item);
	size_t size = (size_t)k->name_len + k->value_size;
	uint8_t header[XATTR_ENTRY_SIZE];
	int r;

	header[XATTR_ENTRY_NAME_LEN] = k->name_len;
	header[XATTR_ENTRY_INDEX] = k->index;
	put_le16(header + XATTR_ENTRY_VALUE_SIZE, k->value_size);
	r = sink_write(s, *at, header, sizeof(header), err);
	*at += sizeof(header);
	if (r == 0)
		r = sink_write(s, *at, k->name_value, size, err);
	*at += size;
	if (r == 0 && size % 4)
		r = sink_write(s, *at, zeros, 4 - size % 4, err);
	*at += -size % 4;
	return r;
}

static int emit_xattr_area(const struct layout *l, struct sink *s, uint64_t *at,
                           const struct erofs_node *n, unsigned int n_shared, struct error *err)
{
	uint8_t head[XATTR_HEADER_SIZE + 4 * XATTR_SHARED_MAX] = {0};
	/* Ids count 4-byte units from the block that xattr_blkaddr names. */
	uint32_t base = (uint32_t)(l->shared_at % EROFS_BLOCK_SIZE / 4);
	unsigned int shared = 0;
	size_t count = xattr_set_count(n->xattrs);
	size_t size = XATTR_HEADER_SIZE + 4 * (size_t)n_shared;
	int r;

	head[XATTR_HEADER_SHARED_COUNT] = (uint8_t)n_shared;
	for (size_t i = 0; i < count && shared < n_shared; i++) {
		const struct interned *item = xattr_set_item(n->xattrs, i);

		if (layout_is_shared(item, shared))
			put_le32(head + XATTR_HEADER_SIZE + 4 * shared++, base + item->place - 1);
	}
	r = sink_write(s, *at, head, size, err);
	*at += size;
	shared = 0;
	for (size_t i = 0; i < count && r == 0; i++) {
		const struct interned *item = xattr_set_item(n->xattrs, i);

		if (layout_is_shared(item, shared))
			shared++;
		else
			r = emit_xattr(s, at, item, err);
	}
	return r;
}

/* The last, partial block of a directory, or a link's target. */
static int emit_tail(struct sink *s, uint64_t at, struct erofs_node *n, struct error *err)
{
	uint8_t block[EROFS_BLOCK_SIZE];
	struct dir_iter it;

	if (node_is_link(n))
		return sink_write(s, at, n->target->bytes, n->size, err);
	dir_iter_init(&it, n);
	for (uint64_t i = 0; i < layout_data_blocks(n); i++)
		dir_iter_block(&it, NULL);
	memset(block, 0, sizeof(block));
	return sink_write(s, at, block, dir_iter_block(&it, block), err);
}

static int emit_chunks(struct sink *s, uint64_t at, const struct erofs_node *n, struct error *err)
{
	uint8_t bytes[4];
	int r = 0;

	for (uint64_t i = 0; i < layout_chunks(n) && r == 0; i++, at += sizeof(bytes)) {
		put_le32(bytes, n->chunks[i]);
		r = sink_write(s, at, bytes, sizeof(bytes), err);
	}
	return r;
}

struct inode_emitter {
	const struct layout *l;
	struct sink *sink;
	uint32_t last_slot;
	uint32_t ino;
};

static int emit_inode(struct inode_emitter *em, struct erofs_node *n, struct error *err)
{
	uint8_t bytes[INODE_EXTENDED_SIZE] = {0};
	unsigned int n_shared;
	uint64_t at;
	size_t xattr_size, size;
	int r;

	/* Slots grow in the order of the walk: a smaller one is a second name. */
	if (n->slot <= em->last_slot)
		return 0;
	em->last_slot = n->slot;
	at = em->l->meta_block * EROFS_BLOCK_SIZE + (uint64_t)n->slot * EROFS_SLOT_SIZE;
	xattr_size = layout_xattr_size(n, &n_shared);
	size = inode_bytes(em->l, n, ++em->ino, xattr_size, bytes);
	r = sink_write(em->sink, at, bytes, size, err);
	at += size;
	if (r == 0 && xattr_size)
		r = emit_xattr_area(em->l, em->sink, &at, n, n_shared, err);
	if (r == 0 && n->flags & NODE_INLINE)
		r = emit_tail(em->sink, at, n, err);
	if (r == 0 && node_is_chunked(n))
		r = emit_chunks(em->sink, at, n, err);
	if (r == 0 && n->flags & NODE_PACKED)
		r = packed_emit_index(em->l->packed, packed_file(em->l->packed, n),
		                      em->l->opts->compression.cluster_blocks > 1, em->sink, at,
		                      err);
	return r;
}

int emit_inodes(const struct layout *l, struct sink *s, struct error *err)
{
	struct inode_emitter em = {.l = l, .sink = s};
	uint64_t at = l->shared_at;
	int r = emit_inode(&em, &l->tree->root, err);

	for (struct erofs_node *dir = &l->tree->root; dir && r == 0; dir = layout_next_dir(dir))
		for (struct erofs_entry *e = erofs_node_children(dir); e && r == 0; e = e->next)
			r = emit_inode(&em, e->node, err);
	for (const struct interned *item = l->shared; item && r == 0; item = item->next)
		r = emit_xattr(s, &at, item, err);
	return r;
}

/* ---------------------------------------------------------------- directories */

static int emit_dir_blocks(struct sink *s, struct erofs_node *dir, struct error *err)
{
	uint64_t at = (uint64_t)dir->block * EROFS_BLOCK_SIZE;
	uint64_t n = layout_data_blocks(dir);
	struct dir_iter it;
	int r = 0;

	dir_iter_init(&it, dir);
	for (uint64_t i = 0; i < n && r == 0; i++, at += EROFS_BLOCK_SIZE) {
		uint8_t *block;

		r = sink_reserve(s, at, EROFS_BLOCK_SIZE, &block, err);
		if (r < 0)
			return r;
		memset(block, 0, EROFS_BLOCK_SIZE);
		dir_iter_block(&it, block);
		sink_commit(s, EROFS_BLOCK_SIZE);
	}
	return r;
}

static int emit_link(struct sink *s, const struct erofs_node *n, struct error *err)
{
	if (n->flags & NODE_INLINE || !n->target->place)
		return 0;
	n->target->place = 0; /* written: others with this target point here too */
	return sink_write(s, (uint64_t)n->block * EROFS_BLOCK_SIZE, n->target->bytes, n->size, err);
}

int emit_directories(const struct layout *l, struct sink *s, struct error *err)
{
	int r = 0;

	for (struct erofs_node *dir = &l->tree->root; dir && r == 0; dir = layout_next_dir(dir)) {
		r = emit_dir_blocks(s, dir, err);
		for (struct erofs_entry *e = dir->first; e && r == 0; e = e->next)
			if (node_is_link(e->node))
				r = emit_link(s, e->node, err);
	}
	return r;
}

/* ---------------------------------------------------------------- superblock */

static void super_compression(const struct layout *l, uint8_t *p)
{
	uint32_t blocks = l->opts->compression.cluster_blocks;

	if (!l->packed || !l->packed->files.size)
		return;
	put_le32(p + SB_INCOMPAT, EROFS_INCOMPAT_ZERO_PADDING);
	if (blocks == 1)
		return;
	put_le32(p + SB_INCOMPAT, EROFS_INCOMPAT_ZERO_PADDING | EROFS_INCOMPAT_BIG_CLUSTER);
	put_le16(p + SB_COMPRESSION, 1); /* LZ4 is the first algorithm */
	put_le16(p + SB_LZ4_SIZE, EROFS_LZ4_SETTINGS_SIZE);
	put_le16(p + SB_LZ4_DISTANCE, EROFS_LZ4_DISTANCE_MAX);
	put_le16(p + SB_LZ4_BLOCKS, (uint16_t)blocks);
}

int emit_super(const struct layout *l, struct sink *s, uint64_t size, struct error *err)
{
	const struct erofs_write_opts *o = l->opts;
	uint8_t block[EROFS_BLOCK_SIZE] = {0};
	uint8_t *p = block + EROFS_SUPER_OFFSET;

	put_le32(p + SB_MAGIC, EROFS_MAGIC);
	put_le32(p + SB_COMPAT, EROFS_COMPAT_SB_CHECKSUM | EROFS_COMPAT_MTIME);
	p[SB_BLOCK_BITS] = EROFS_BLOCK_BITS;
	put_le16(p + SB_ROOT_NID, (uint16_t)l->tree->root.slot);
	put_le64(p + SB_INODES, l->inodes);
	put_le64(p + SB_BUILD_TIME, (uint64_t)o->build_time);
	put_le32(p + SB_BUILD_TIME_NS, o->build_time_ns);
	put_le32(p + SB_BLOCKS, (uint32_t)(size / EROFS_BLOCK_SIZE));
	put_le32(p + SB_META_BLOCK, (uint32_t)l->meta_block);
	put_le32(p + SB_XATTR_BLOCK, (uint32_t)(l->shared_at / EROFS_BLOCK_SIZE));
	memcpy(p + SB_UUID, o->uuid, sizeof(o->uuid));
	memcpy(p + SB_VOLUME_NAME, o->volume_name, sizeof(o->volume_name));
	super_compression(l, p);
	if (l->chunked)
		put_le32(p + SB_INCOMPAT, get_le32(p + SB_INCOMPAT) | EROFS_INCOMPAT_CHUNKED);
	put_le32(p + SB_CHECKSUM, erofs_super_checksum(p, EROFS_BLOCK_SIZE - EROFS_SUPER_OFFSET));
	return sink_write(s, 0, block, sizeof(block), err);
}
