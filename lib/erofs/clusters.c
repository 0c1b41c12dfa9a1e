/* SPDX-License-Identifier: Apache-2.0 */
/* clusters: the index of a compressed file. */
#include "lib/erofs/clusters.h"

#include <errno.h>

#include "lib/base/bytes.h"
#include "lib/erofs/image.h"

/* No run covers more entries. */
#define MAX_SPAN (CLUSTER_MAX_LENGTH / EROFS_BLOCK_SIZE + 1)

/* LZ4's longest expansion: each byte of a length adds 255. */
#define MAX_RATIO 255u

/* One entry, whichever way it is stored. */
struct entry {
	uint8_t type; /* enum cluster_type */
	uint16_t offset;
	uint16_t back;   /* NONHEAD: entries to its head */
	uint16_t ahead;  /* NONHEAD: entries to the next head, 0 when it does not say */
	uint16_t blocks; /* NONHEAD: of its cluster, 0 when it does not say */
	uint64_t block;
};

static int damaged(const struct clusters *c, struct error *err, const char *what)
{
	return image_damaged(err, "the cluster index of inode %llu: %s",
	                     (unsigned long long)c->st.nid, what);
}

static int unsupported(const struct clusters *c, struct error *err, const char *what)
{
	return error_set_kind(err, ERROR_INPUT, EOPNOTSUPP,
	                      "inode %llu of this EROFS image has %s, which is not supported",
	                      (unsigned long long)c->st.nid, what);
}

/* ---------------------------------------------------------------- opening */

static int check_header(struct clusters *c, const uint8_t *p, struct error *err)
{
	static const struct {
		uint16_t advise;
		const char *what;
	} others[] = {
	    {CLUSTER_ADVISE_FRAGMENT, "its end among others' (fragments)"},
	    {CLUSTER_ADVISE_INLINE, "its end beside the inode (ztailpacking)"},
	    {CLUSTER_ADVISE_INTERLACED, "interlaced plain clusters"},
	};
	const uint16_t big = c->advise & (CLUSTER_ADVISE_BIG_1 | CLUSTER_ADVISE_BIG_2);
	const uint16_t known =
	    CLUSTER_ADVISE_COMPACT_2B | CLUSTER_ADVISE_BIG_1 | CLUSTER_ADVISE_BIG_2;
	bool full = c->st.layout == EROFS_LAYOUT_COMPRESSED_FULL;

	if (p[CLUSTER_HEADER_BITS] & CLUSTER_WHOLE_FRAGMENT)
		return unsupported(c, err, "its content among others' (fragments)");
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (c->advise & others[i].advise)
			return unsupported(c, err, others[i].what);
	/* For full indexes the lowest bit means a list of extents. */
	if (c->advise & ~known || (full && c->advise & CLUSTER_ADVISE_COMPACT_2B))
		return unsupported(c, err, "an unknown kind of cluster index");
	if (p[CLUSTER_HEADER_ALGORITHM])
		return unsupported(c, err, "content that is compressed by other means than LZ4");
	if (p[CLUSTER_HEADER_BITS])
		return unsupported(c, err, "logical clusters of more than 4096 bytes");
	/* As Linux: a compact index counts blocks alike for all kinds of clusters. */
	if (big && (!(c->image->super.feature_incompat & EROFS_INCOMPAT_BIG_CLUSTER) ||
	            (!full && big != (CLUSTER_ADVISE_BIG_1 | CLUSTER_ADVISE_BIG_2))))
		return damaged(c, err, "clusters of several blocks where none should be");
	return 0;
}

int clusters_open(struct clusters *c, struct erofs_image *image, const struct erofs_stat *st,
                  struct error *err)
{
	uint8_t header[CLUSTER_HEADER_SIZE];
	uint64_t at = 0;
	int r;

	*c = (struct clusters){.image = image, .st = *st};
	/* st->offset is below the image's size. */
	align_up64(st->offset + image_inode_size(st) + st->xattr_size, 8, &at);
	r = image_read(image, at, header, sizeof(header), err);
	if (r < 0)
		return r;
	c->advise = get_le16(header + CLUSTER_HEADER_ADVISE);
	c->index = at + CLUSTER_HEADER_SIZE;
	c->n = st->size / EROFS_BLOCK_SIZE + (st->size % EROFS_BLOCK_SIZE != 0);
	r = check_header(c, header, err);
	if (r < 0)
		return r;
	if (st->layout == EROFS_LAYOUT_COMPRESSED_FULL) {
		c->index += CLUSTER_INDEX_GAP;
	} else {
		/* 4-byte entries up to a 32-byte boundary, then packs of sixteen. */
		c->n_lead = (32 - c->index % 32) / 4 % 8;
		if (c->advise & CLUSTER_ADVISE_COMPACT_2B && c->n > c->n_lead)
			c->n_2b = (c->n - c->n_lead) / 16 * 16;
	}
	/* Two bytes is the least an entry takes. */
	if (c->n > image->size / 2)
		return damaged(c, err, "larger than the image");
	return 0;
}

/* ---------------------------------------------------------------- one entry */

static int load_full(struct clusters *c, uint64_t i, struct entry *e, struct error *err)
{
	uint8_t p[CLUSTER_ENTRY_SIZE];
	uint16_t type;
	int r = image_read(c->image, c->index + i * sizeof(p), p, sizeof(p), err);

	if (r < 0)
		return r;
	type = get_le16(p + CLUSTER_ENTRY_TYPE);
	*e = (struct entry){.type = type & 3};
	if (e->type == CLUSTER_NONHEAD) {
		e->back = get_le16(p + CLUSTER_ENTRY_BACK);
		e->ahead = get_le16(p + CLUSTER_ENTRY_AHEAD);
		if (e->back & CLUSTER_BLOCKS) {
			e->blocks = e->back & (uint16_t)~CLUSTER_BLOCKS;
			e->back = 1;
		}
		return 0;
	}
	if (type & CLUSTER_PARTIAL)
		return unsupported(c, err, "partly used clusters (deduplication)");
	e->offset = get_le16(p + CLUSTER_ENTRY_OFFSET);
	e->block = get_le32(p + CLUSTER_ENTRY_BLOCK);
	return 0;
}

/* Compact entries come in packs of two (8 bytes) or sixteen (32 bytes): 12 bits of value and
 * 2 bits of type each, then the block before the pack's first head. */
struct pack {
	uint8_t bytes[32 + 4];
	unsigned int n, bits; /* entries, bits of one */
};

static unsigned int pack_value(const struct pack *p, int i, unsigned int *type)
{
	unsigned int bit = p->bits * (unsigned int)i;
	uint32_t v = get_le32(p->bytes + bit / 8) >> bit % 8;

	*type = v >> 12 & 3;
	return v & 0xfff;
}

/* Of a pack whose clusters have one block: every head before entry i has one. */
static uint64_t count_single(const struct pack *p, int i)
{
	unsigned int type, value;
	uint64_t n = 1;

	while (i-- > 0) {
		value = pack_value(p, i, &type);
		if (type == CLUSTER_NONHEAD)
			i -= (int)value;
		n += i >= 0;
	}
	return n;
}

/* Of a pack whose clusters may have more: those say it in the entry after the head. */
static int count_big(const struct clusters *c, const struct pack *p, int i, uint64_t *n,
                     struct error *err)
{
	unsigned int type, value;

	*n = 0;
	while (i-- > 0) {
		value = pack_value(p, i, &type);
		if (type != CLUSTER_NONHEAD) {
			++*n;
		} else if (value & CLUSTER_BLOCKS) {
			*n += value & ~CLUSTER_BLOCKS;
			i--;
		} else if (value <= 1) {
			return damaged(c, err, "a cluster without its number of blocks");
		} else {
			i -= (int)value - 2;
		}
	}
	return 0;
}

/* The last entry of a pack says how far the next head is; the one before knows ours. */
static unsigned int distance_back(const struct pack *p, int i, unsigned int value)
{
	unsigned int type;

	if (i + 1 != (int)p->n)
		return value;
	value = pack_value(p, i - 1, &type);
	if (type != CLUSTER_NONHEAD)
		return 1;
	return value & CLUSTER_BLOCKS ? 2 : value + 1;
}

static int load_compact(struct clusters *c, uint64_t i, struct entry *e, struct error *err)
{
	struct pack p = {.n = 2, .bits = 16};
	uint64_t at = c->index;
	unsigned int type, value, size = 8;
	uint64_t before = 0;
	int k, r;

	if (i >= c->n_lead + c->n_2b) {
		at += 4 * c->n_lead + 2 * c->n_2b;
		i -= c->n_lead + c->n_2b;
	} else if (i >= c->n_lead) {
		at += 4 * c->n_lead;
		i -= c->n_lead;
		p.n = 16;
		p.bits = 14;
		size = 32;
	}
	at += i / p.n * size;
	k = (int)(i % p.n);
	r = image_read(c->image, at, p.bytes, size, err);
	if (r < 0)
		return r;
	value = pack_value(&p, k, &type);
	*e = (struct entry){.type = (uint8_t)type};
	if (type == CLUSTER_NONHEAD && value & CLUSTER_BLOCKS) {
		e->blocks = (uint16_t)(value & ~CLUSTER_BLOCKS);
		e->back = 1;
		return 0;
	}
	if (type == CLUSTER_NONHEAD) {
		e->back = (uint16_t)distance_back(&p, k, value);
		e->ahead = k + 1 == (int)p.n ? (uint16_t)value : 0;
		return 0;
	}
	e->offset = (uint16_t)value;
	if (c->advise & CLUSTER_ADVISE_BIG_1)
		r = count_big(c, &p, k, &before, err);
	else
		before = count_single(&p, k);
	e->block = get_le32(p.bytes + size - 4) + before;
	return r;
}

static int load(struct clusters *c, uint64_t i, struct entry *e, struct error *err)
{
	int r = c->st.layout == EROFS_LAYOUT_COMPRESSED_FULL ? load_full(c, i, e, err)
	                                                     : load_compact(c, i, e, err);

	if (r < 0)
		return r;
	if (e->type != CLUSTER_NONHEAD && e->offset >= EROFS_BLOCK_SIZE)
		return damaged(c, err, "a run begins beyond its logical cluster");
	if (e->blocks && !(c->advise & (CLUSTER_ADVISE_BIG_1 | CLUSTER_ADVISE_BIG_2)))
		return damaged(c, err, "a cluster of several blocks where none should be");
	return 0;
}

/* ---------------------------------------------------------------- one cluster */

/* The head whose run has the byte at `offset`: its entry and the entry's number. */
static int find_head(struct clusters *c, uint64_t offset, struct entry *head, uint64_t *at,
                     struct error *err)
{
	uint64_t first = offset / EROFS_BLOCK_SIZE, i = first;
	int r = load(c, i, head, err);

	/* A run that begins behind the byte is the next one. */
	if (r == 0 && head->type != CLUSTER_NONHEAD && head->offset > offset % EROFS_BLOCK_SIZE)
		*head = (struct entry){.type = CLUSTER_NONHEAD, .back = 1};
	while (r == 0 && head->type == CLUSTER_NONHEAD) {
		if (!head->back || head->back > i || first - (i - head->back) > MAX_SPAN)
			return damaged(c, err, "bytes that belong to no run");
		i -= head->back;
		r = load(c, i, head, err);
	}
	*at = i;
	return r;
}

/* Where the run of entry `at` ends, how many entries are within it, and how many blocks its
 * cluster says it has. */
static int find_end(struct clusters *c, uint64_t at, uint64_t *end, uint64_t *span,
                    uint32_t *blocks, struct error *err)
{
	struct entry e;
	uint64_t furthest = 0;

	*blocks = 1;
	*span = c->n - at;
	for (uint64_t i = at + 1; i < c->n; i++) {
		int r = load(c, i, &e, err);

		if (r < 0)
			return r;
		if (e.type != CLUSTER_NONHEAD && furthest > i)
			return damaged(c, err, "an entry that leads past the next run");
		if (e.type != CLUSTER_NONHEAD) {
			*end = i * EROFS_BLOCK_SIZE + e.offset;
			*span = i - at;
			return 0;
		}
		/* Linux finds the end of a run this way when it reads ahead. */
		if (i + e.ahead > furthest)
			furthest = i + e.ahead;
		if (i == at + 1 && e.blocks)
			*blocks = e.blocks;
		if (i - at > MAX_SPAN)
			return damaged(c, err, "a run of more than 12 MiB");
	}
	*end = c->st.size;
	return 0;
}

int clusters_find(struct clusters *c, uint64_t offset, struct cluster *out, struct error *err)
{
	struct entry head;
	uint64_t at = 0, end = 0, span = 0;
	uint16_t big;
	int r = find_head(c, offset, &head, &at, err);

	if (r == 0)
		r = find_end(c, at, &end, &span, &out->blocks, err);
	if (r < 0)
		return r;
	big = head.type == CLUSTER_HEAD1 ? CLUSTER_ADVISE_BIG_1 : CLUSTER_ADVISE_BIG_2;
	if (!(c->advise & big))
		out->blocks = 1;
	out->plain = head.type == CLUSTER_PLAIN;
	out->block = head.block;
	out->start = at * EROFS_BLOCK_SIZE + head.offset;
	if (out->blocks > CLUSTER_MAX_BLOCKS)
		return damaged(c, err, "a cluster of more than 1 MiB");
	if (end <= offset || end - out->start > CLUSTER_MAX_LENGTH ||
	    end - out->start >
	        (uint64_t)out->blocks * EROFS_BLOCK_SIZE * (out->plain ? 1 : MAX_RATIO))
		return damaged(c, err, "a run that its cluster cannot hold");
	/* Linux counts a run as far as its last entry goes: the one of a plain cluster is short. */
	if (out->plain &&
	    (at + span) * EROFS_BLOCK_SIZE - out->start > (uint64_t)out->blocks * EROFS_BLOCK_SIZE)
		return damaged(c, err, "a plain run of several entries");
	out->length = end - out->start;
	if (!out->block || out->block + out->blocks > c->image->size / EROFS_BLOCK_SIZE)
		return damaged(c, err, "a cluster beyond the image's end");
	return 0;
}
