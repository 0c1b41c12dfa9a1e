/* SPDX-License-Identifier: Apache-2.0 */
/* pack: files into clusters, and the index of those. */
#include "lib/erofs/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/erofs/layout.h"
#include "lib/erofs/node.h"
#include "lib/erofs/source.h"

/* No cluster stands for more: a page fault decompresses all of it. */
#define RUN_MAX (1u << 20)
#define WINDOW  (2u << 20)

struct packer {
	struct erofs_writer *w;
	const struct erofs_compression *how;
	bool (*interrupted)(void);
	struct packed *out;
	struct copier files;
	void *state;      /* the compressor's */
	uint8_t *window;  /* of a host file */
	uint8_t *cluster; /* how->cluster_blocks blocks */
};

/* What is left of a file. */
struct input {
	const struct erofs_node *node;
	int fd;           /* -1: in memory */
	const uint8_t *p; /* the next n bytes ... */
	size_t n;
	uint64_t left; /* ... and how many come after them */
};

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory while compressing files");
}

void packed_free(struct packed *p)
{
	buffer_free(&p->files);
	buffer_free(&p->clusters);
}

/* ---------------------------------------------------------------- input */

static int open_input(struct packer *pk, const struct erofs_node *node, struct input *in,
                      struct error *err)
{
	*in = (struct input){.node = node, .fd = -1};
	if (node->content == CONTENT_MEMORY) {
		in->p = node->memory;
		in->n = (size_t)node->size;
		return 0;
	}
	in->p = pk->window;
	in->left = node->size;
	in->fd = copier_open(&pk->files, node, err);
	return in->fd < 0 ? in->fd : 0;
}

static int fill_window(struct packer *pk, struct input *in, struct error *err)
{
	size_t room = WINDOW - in->n, n = in->left < room ? (size_t)in->left : room;
	int r;

	if (in->n >= RUN_MAX || !n)
		return 0;
	memmove(pk->window, in->p, in->n);
	in->p = pk->window;
	r = copier_read(in->node, in->fd, pk->window + in->n, n, in->node->size - in->left, err);
	in->n += n;
	in->left -= n;
	return r;
}

/* ---------------------------------------------------------------- clusters */

/* Bytes of the file, in blocks of `data`, which zeros precede or follow. */
static int add_cluster(struct packer *pk, struct packed_file *f, const struct packed_cluster *c,
                       const uint8_t *data, size_t size, struct error *err)
{
	static const uint8_t zeros[EROFS_BLOCK_SIZE];
	size_t pad = (size_t)c->blocks * EROFS_BLOCK_SIZE - size;
	int r = 0;

	if (!c->plain)
		r = erofs_writer_data(pk->w, zeros, pad, err);
	if (r == 0)
		r = erofs_writer_data(pk->w, data, size, err);
	if (r == 0 && c->plain)
		r = erofs_writer_data(pk->w, zeros, pad, err);
	buffer_append(&pk->out->clusters, c, sizeof(*c));
	f->blocks += c->blocks;
	f->n++;
	return r == 0 && pk->out->clusters.failed ? no_memory(err) : r;
}

static void advance(struct input *in, size_t n)
{
	in->p += n;
	in->n -= n;
}

/* What does not shrink here will hardly do so a block further. */
static int add_plain(struct packer *pk, struct packed_file *f, struct input *in, struct error *err)
{
	int r = 0;

	for (uint32_t i = 0; i < pk->how->cluster_blocks && in->n && r == 0; i++) {
		size_t n = in->n < EROFS_BLOCK_SIZE ? in->n : EROFS_BLOCK_SIZE;
		const struct packed_cluster c = {(uint32_t)n, 1, 1};

		r = add_cluster(pk, f, &c, in->p, n, err);
		advance(in, n);
	}
	return r;
}

/* Fills a cluster; *taken is how much went in. A compressor that finds no matches looks through
 * all that it is given before it sees that it has no room: it is given more by and by. */
static size_t fill_cluster(struct packer *pk, const struct input *in, size_t *taken)
{
	const struct erofs_compression *how = pk->how;
	size_t room = (size_t)how->cluster_blocks * EROFS_BLOCK_SIZE, size;
	size_t all = in->n < RUN_MAX ? in->n : RUN_MAX, given = 4 * room;

	for (;; given *= 4) {
		*taken = given < all ? given : all;
		size =
		    how->compressor->fill(pk->state, how->level, in->p, taken, pk->cluster, room);
		if (given >= all || *taken < given)
			return size;
	}
}

static int add_next(struct packer *pk, struct packed_file *f, struct input *in, struct error *err)
{
	size_t taken = 0, size = 0, blocks;
	struct packed_cluster c;
	int r;

	if (pk->interrupted && pk->interrupted())
		return error_set(err, EINTR, "interrupted");
	if (in->n > EROFS_BLOCK_SIZE)
		size = fill_cluster(pk, in, &taken);
	blocks = (size + EROFS_BLOCK_SIZE - 1) / EROFS_BLOCK_SIZE;
	if (!size || taken <= blocks * EROFS_BLOCK_SIZE)
		return add_plain(pk, f, in, err);
	c = (struct packed_cluster){(uint32_t)taken, (uint16_t)blocks, 0};
	r = add_cluster(pk, f, &c, pk->cluster, size, err);
	advance(in, taken);
	return r;
}

/* ---------------------------------------------------------------- files */

/* 1: it takes fewer blocks now; 0: it does not, and is as it was. */
static int add_clusters(struct packer *pk, struct packed_file *f, struct input *in,
                        struct error *err)
{
	uint64_t size = in->node->size;
	uint64_t most = (layout_blocks(size) * EROFS_BLOCK_SIZE - packed_index_size(0, size)) /
	                EROFS_BLOCK_SIZE;
	struct erofs_extent extent;
	int r = erofs_writer_data_start(pk->w, EROFS_SIZE_UNKNOWN, err);

	while (r == 0 && in->n + in->left > 0 && f->blocks <= most) {
		if (in->fd >= 0)
			r = fill_window(pk, in, err);
		if (r == 0)
			r = add_next(pk, f, in, err);
	}
	if (r < 0)
		return r;
	if (in->n + in->left > 0 || f->blocks > most) {
		pk->out->clusters.size -= (size_t)f->n * sizeof(struct packed_cluster);
		return erofs_writer_data_abort(pk->w, err);
	}
	r = erofs_writer_data_end(pk->w, &extent, err);
	f->block = extent.block;
	return r < 0 ? r : 1;
}

static int pack_file(struct packer *pk, struct erofs_node *node, struct error *err)
{
	struct packed_file f = {
	    .first = pk->out->clusters.size / sizeof(struct packed_cluster),
	};
	struct input in;
	int r = open_input(pk, node, &in, err);

	if (r == 0)
		r = add_clusters(pk, &f, &in, err);
	close_fd(&in.fd);
	if (r <= 0)
		return r;
	buffer_append(&pk->out->files, &f, sizeof(f));
	if (pk->out->files.failed)
		return no_memory(err);
	node->flags |= NODE_PACKED;
	node->block = (uint32_t)(pk->out->files.size / sizeof(f));
	pk->out->bytes += (uint64_t)f.blocks * EROFS_BLOCK_SIZE;
	pk->out->from += node->size;
	return 0;
}

static bool wants_packing(const struct erofs_node *n)
{
	return node_is_file(n) && n->size > EROFS_BLOCK_SIZE && !(n->flags & NODE_HOT) &&
	       (n->content == CONTENT_SOURCE || n->content == CONTENT_MEMORY);
}

/* The mark is the slot, which the layout sets anew: a hard link is met again. */
static int pack_all(struct packer *pk, struct erofs_tree *tree, struct error *err)
{
	int r = 0;

	for (struct erofs_entry *e = NULL; (e = erofs_tree_walk(tree, e)) != NULL;) {
		e->node->slot = 0;
		e->node->flags &= (uint8_t)~NODE_PACKED;
	}
	for (struct erofs_entry *e = NULL; r == 0 && (e = erofs_tree_walk(tree, e)) != NULL;) {
		if (e->node->slot++ == 0 && wants_packing(e->node))
			r = pack_file(pk, e->node, err);
	}
	return r;
}

int pack_tree(struct erofs_writer *w, struct erofs_tree *tree, const struct erofs_write_opts *opts,
              struct packed *out, struct error *err)
{
	const struct erofs_compression *how = &opts->compression;
	struct packer pk = {.w = w, .how = how, .interrupted = opts->interrupted, .out = out};
	int r;

	if (!how->cluster_blocks || how->cluster_blocks > CLUSTER_MAX_BLOCKS)
		return error_set(err, EINVAL, "clusters have 1 to %u blocks", CLUSTER_MAX_BLOCKS);
	pk.state = malloc(how->compressor->state_size + 1);
	pk.window = malloc(WINDOW);
	pk.cluster = malloc((size_t)how->cluster_blocks * EROFS_BLOCK_SIZE);
	copier_init(&pk.files, NULL);
	r = pk.state && pk.window && pk.cluster ? pack_all(&pk, tree, err) : no_memory(err);
	copier_done(&pk.files);
	free(pk.state);
	free(pk.window);
	free(pk.cluster);
	return r;
}

/* ---------------------------------------------------------------- index */

struct index_writer {
	struct sink *sink;
	uint64_t at;
	bool big;
};

static int put_entry(struct index_writer *iw, const uint8_t *p, struct error *err)
{
	int r = sink_write(iw->sink, iw->at, p, CLUSTER_ENTRY_SIZE, err);

	iw->at += CLUSTER_ENTRY_SIZE;
	return r;
}

/* The entries of one cluster: its head at entry `head`, and those up to `next`. */
static int put_cluster(struct index_writer *iw, const struct packed_cluster *c, uint64_t start,
                       uint64_t next, uint32_t block, struct error *err)
{
	uint64_t head = start / EROFS_BLOCK_SIZE;
	uint8_t p[CLUSTER_ENTRY_SIZE] = {0};
	int r;

	put_le16(p + CLUSTER_ENTRY_TYPE, c->plain ? CLUSTER_PLAIN : CLUSTER_HEAD1);
	put_le16(p + CLUSTER_ENTRY_OFFSET, (uint16_t)(start % EROFS_BLOCK_SIZE));
	put_le32(p + CLUSTER_ENTRY_BLOCK, block);
	r = put_entry(iw, p, err);
	memset(p, 0, sizeof(p));
	put_le16(p + CLUSTER_ENTRY_TYPE, CLUSTER_NONHEAD);
	for (uint64_t i = head + 1; i < next && r == 0; i++) {
		uint64_t back = i - head;

		if (back == 1 && iw->big && !c->plain)
			back = CLUSTER_BLOCKS | c->blocks;
		put_le16(p + CLUSTER_ENTRY_BACK, (uint16_t)back);
		put_le16(p + CLUSTER_ENTRY_AHEAD, (uint16_t)(next - i));
		r = put_entry(iw, p, err);
	}
	return r;
}

/* Where the last run ends, in an entry like that of a further one. Without it Linux takes the run
 * for one that fills its last logical cluster, and refuses a plain one as too long. */
static int put_end(struct index_writer *iw, uint64_t start, uint64_t end, struct error *err)
{
	uint8_t p[CLUSTER_ENTRY_SIZE] = {0};

	if (end % EROFS_BLOCK_SIZE == 0 || end / EROFS_BLOCK_SIZE == start / EROFS_BLOCK_SIZE)
		return 0;
	put_le16(p + CLUSTER_ENTRY_TYPE, CLUSTER_PLAIN);
	put_le16(p + CLUSTER_ENTRY_OFFSET, (uint16_t)(end % EROFS_BLOCK_SIZE));
	return put_entry(iw, p, err);
}

int packed_emit_index(const struct packed *p, const struct packed_file *file, bool big,
                      struct sink *s, uint64_t at, struct error *err)
{
	const struct packed_cluster *c =
	    (const struct packed_cluster *)(const void *)p->clusters.data + file->first;
	uint8_t head[7 + CLUSTER_HEADER_SIZE + CLUSTER_INDEX_GAP] = {0};
	size_t pad = (size_t)(-at % 8);
	struct index_writer iw = {s, at + pad + CLUSTER_HEADER_SIZE + CLUSTER_INDEX_GAP, big};
	uint32_t block = file->block;
	uint64_t start = 0;
	int r;

	put_le16(head + pad + CLUSTER_HEADER_ADVISE, big ? CLUSTER_ADVISE_BIG_1 : 0);
	r = sink_write(s, at, head, (size_t)(iw.at - at), err);
	for (uint64_t i = 0; i < file->n && r == 0; i++) {
		uint64_t end = start + c[i].length;

		r = put_cluster(&iw, &c[i], start, end / EROFS_BLOCK_SIZE, block, err);
		block += c[i].blocks;
		if (r == 0 && i + 1 == file->n)
			r = put_end(&iw, start, end, err);
		start = end;
	}
	return r;
}
