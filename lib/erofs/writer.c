/* SPDX-License-Identifier: Apache-2.0 */
/* writer: streaming content, and putting the image together. */
#include "lib/erofs/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/erofs/emit.h"
#include "lib/erofs/format.h"
#include "lib/erofs/layout.h"
#include "lib/erofs/pack.h"
#include "lib/erofs/sink.h"
#include "lib/erofs/source.h"

/* Measured: more than this gains nothing; less makes more system calls. */
#define BUFFER_SIZE (256u << 10)

#define MAX_BYTES ((uint64_t)(UINT32_MAX - 1) * EROFS_BLOCK_SIZE)

/* Rooms before aligned files that are remembered. */
#define STREAM_GAPS 64

struct stream_gap {
	uint64_t at, size; /* bytes */
};

struct erofs_writer {
	struct sink sink;
	struct erofs_write_opts opts;
	uint64_t end; /* bytes: where the next streamed file may begin */
	bool open;    /* between data_start and data_end */
	bool finished;
	uint64_t start;  /* of the open file, bytes */
	uint64_t size;   /* of it so far */
	uint64_t wanted; /* of it as announced, or EROFS_SIZE_UNKNOWN */
	struct stream_gap gaps[STREAM_GAPS];
	size_t n_gaps;
	struct stream_gap *gap; /* that the open file is in, else NULL */
};

int erofs_writer_begin(struct erofs_writer **out, int out_fd, const struct erofs_write_opts *opts,
                       struct error *err)
{
	_cleanup_erofs_writer_ struct erofs_writer *w = NULL;
	struct stat st;
	int r;

	*out = NULL;
	if (opts->build_time_ns >= 1000000000u)
		return error_set(err, EINVAL,
		                 "a build time of %u nanoseconds is more than a second",
		                 opts->build_time_ns);
	if (fstat(out_fd, &st) < 0)
		return error_errno(err, errno, "cannot look at the EROFS image file");
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "an EROFS image is written to a regular file only");
	w = calloc(1, sizeof(*w));
	if (!w)
		return error_set(err, ENOMEM, "out of memory for the EROFS writer");
	w->opts = *opts;
	w->end = EROFS_BLOCK_SIZE;
	r = sink_init(&w->sink, out_fd, BUFFER_SIZE, err);
	w->sink.interrupted = opts->interrupted;
	if (r == 0)
		r = sink_truncate(&w->sink, 0, err);
	if (r < 0)
		return r;
	*out = steal_ptr(&w);
	return 0;
}

void erofs_writer_free(struct erofs_writer *w)
{
	if (!w)
		return;
	sink_free(&w->sink);
	free(w);
}

/* ---------------------------------------------------------------- streaming */

static int out_of_order(const char *what, struct error *err)
{
	return error_set(err, EINVAL, "EROFS writer: %s out of order", what);
}

/* Room that a file of that size can have before one that is aligned. */
static struct stream_gap *find_gap(struct erofs_writer *w, uint64_t size)
{
	for (size_t i = 0; i < w->n_gaps; i++)
		if (size <= w->gaps[i].size)
			return &w->gaps[i];
	return NULL;
}

/* The open file began behind the end: what is between, in place of a room that is used up. */
static void remember_gap(struct erofs_writer *w)
{
	size_t i = 0;

	while (i < w->n_gaps && w->gaps[i].size)
		i++;
	if (w->start == w->end || i == STREAM_GAPS)
		return;
	w->gaps[i] = (struct stream_gap){w->end, w->start - w->end};
	w->n_gaps += i == w->n_gaps;
}

int erofs_writer_data_start(struct erofs_writer *w, uint64_t size, struct error *err)
{
	bool known = size != EROFS_SIZE_UNKNOWN;
	bool huge = w->opts.flags & EROFS_WRITE_HUGE && known && size >= EROFS_HUGE_SIZE;

	if (w->open || w->finished)
		return out_of_order("data_start", err);
	w->gap = huge || !known ? NULL : find_gap(w, size);
	if (w->gap)
		w->start = w->gap->at;
	else
		/* w->end is at most 2^44, so this cannot overflow. */
		align_up64(w->end, huge ? EROFS_HUGE_SIZE : EROFS_BLOCK_SIZE, &w->start);
	w->open = true;
	w->size = 0;
	w->wanted = size;
	return 0;
}

/* Room for `size` more bytes of the open file, or an error. */
static int extend(struct erofs_writer *w, uint64_t size, struct error *err)
{
	if (!w->open)
		return out_of_order("data", err);
	if (size > w->wanted - w->size)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "more content than the %llu bytes announced",
		                      (unsigned long long)w->wanted);
	if (size > MAX_BYTES || w->start + w->size > MAX_BYTES - size)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "an EROFS image holds at most 16 TiB");
	return 0;
}

int erofs_writer_data(struct erofs_writer *w, const void *data, size_t size, struct error *err)
{
	int r = extend(w, size, err);

	if (r == 0 && size)
		r = sink_write(&w->sink, w->start + w->size, data, size, err);
	if (r == 0)
		w->size += size;
	return r;
}

int erofs_writer_data_zeros(struct erofs_writer *w, uint64_t size, struct error *err)
{
	int r = extend(w, size, err);

	if (r == 0)
		w->size += size;
	return r;
}

uint32_t erofs_writer_data_block(const struct erofs_writer *w)
{
	return (uint32_t)(w->start / EROFS_BLOCK_SIZE);
}

void erofs_writer_data_cut(struct erofs_writer *w)
{
	w->wanted = w->size;
}

int erofs_writer_data_end(struct erofs_writer *w, struct erofs_extent *extent, struct error *err)
{
	uint64_t end = 0;

	if (!w->open)
		return out_of_order("data_end", err);
	if (w->wanted != EROFS_SIZE_UNKNOWN && w->size != w->wanted)
		return error_set_kind(err, ERROR_INPUT, ENODATA,
		                      "content ends after %llu of %llu bytes",
		                      (unsigned long long)w->size, (unsigned long long)w->wanted);
	w->open = false;
	*extent = (struct erofs_extent){0, w->size};
	if (!w->size)
		return 0;
	extent->block = (uint32_t)(w->start / EROFS_BLOCK_SIZE);
	align_up64(w->start + w->size, EROFS_BLOCK_SIZE, &end);
	if (w->gap) {
		w->gap->size -= end - w->gap->at;
		w->gap->at = end;
		return 0;
	}
	remember_gap(w);
	w->end = end;
	return 0;
}

void erofs_writer_share(struct erofs_writer *w)
{
	w->opts.flags |= EROFS_WRITE_SHARED;
}

int erofs_writer_data_abort(struct erofs_writer *w, struct error *err)
{
	uint64_t keep = w->start;

	if (!w->open)
		return 0;
	w->open = false;
	if (w->gap)
		return sink_punch(&w->sink, keep, w->size, err);
	/* What is gathered may begin before this file. */
	if (w->sink.at < keep) {
		if (w->sink.used > keep - w->sink.at)
			w->sink.used = (size_t)(keep - w->sink.at);
	} else {
		sink_discard(&w->sink);
	}
	/* Bytes already written go, so that holes in the next file read as zeros. */
	return sink_truncate(&w->sink, keep, err);
}

/* ---------------------------------------------------------------- the whole image */

static int check_extent(const struct erofs_writer *w, const struct erofs_node *n, struct error *err)
{
	uint64_t start = (uint64_t)n->block * EROFS_BLOCK_SIZE;

	if (n->content != CONTENT_EXTENT || !n->size)
		return 0;
	if (n->block && start <= w->end && n->size <= w->end - start)
		return 0;
	return error_set(err, EINVAL, "a file's content is outside of what was written");
}

static int check_chunks(const struct erofs_writer *w, const struct erofs_node *n, struct error *err)
{
	for (uint64_t i = 0; i < layout_chunks(n); i++) {
		uint64_t at = (uint64_t)n->chunks[i] * EROFS_BLOCK_SIZE, left;

		left = n->size - i * EROFS_CHUNK_SIZE;
		if (left > EROFS_CHUNK_SIZE)
			left = EROFS_CHUNK_SIZE;
		if (!n->chunks[i] || at > w->end || left > w->end - at)
			return error_set(err, EINVAL,
			                 "a file's chunk is outside of what was written");
	}
	return 0;
}

static int emit_content(struct erofs_writer *w, struct copier *c, struct erofs_node *n,
                        struct error *err)
{
	uint64_t at = (uint64_t)n->block * EROFS_BLOCK_SIZE;

	if (!node_is_file(n) || !n->size || n->flags & NODE_PACKED)
		return 0;
	switch (n->content) {
	case CONTENT_SOURCE:
		return copier_copy(c, n, at, err);
	case CONTENT_CHUNKS:
		return check_chunks(w, n, err);
	case CONTENT_MEMORY:
		return sink_write(&w->sink, at, n->memory, n->size, err);
	default:
		return check_extent(w, n, err);
	}
}

/* Slots grow in the order of the walk: a smaller one is a second name of a file. */
static int emit_all_content(struct erofs_writer *w, const struct layout *l, struct error *err)
{
	struct copier c;
	uint32_t last = 0;
	int r = 0;

	copier_init(&c, &w->sink);
	for (struct erofs_node *dir = &l->tree->root; dir && r == 0; dir = layout_next_dir(dir))
		for (struct erofs_entry *e = erofs_node_children(dir); e && r == 0; e = e->next)
			if (e->node->slot > last) {
				last = e->node->slot;
				r = emit_content(w, &c, e->node, err);
			}
	copier_done(&c);
	return r;
}

static int punch_dropped(struct erofs_writer *w, const struct erofs_tree *tree, struct error *err)
{
	int r = 0;

	if (w->opts.flags & EROFS_WRITE_SHARED)
		return 0;
	for (const struct dropped_extent *d = tree->dropped; d && r == 0; d = d->next) {
		uint64_t start = (uint64_t)d->extent.block * EROFS_BLOCK_SIZE;

		if (d->extent.block && start < w->end && d->extent.size <= w->end - start)
			r = sink_punch(&w->sink, start,
			               layout_blocks(d->extent.size) * EROFS_BLOCK_SIZE, err);
	}
	return r;
}

static int write_laid_out(struct erofs_writer *w, struct layout *l, struct erofs_tree *tree,
                          const struct packed *packed, struct erofs_write_stats *stats,
                          struct error *err)
{
	uint64_t size = 0, streamed = w->end / EROFS_BLOCK_SIZE;
	int r = layout_make(l, tree, &w->opts, packed, streamed, err);

	if (r < 0)
		return r;
	align_up64(l->end * EROFS_BLOCK_SIZE,
	           (w->opts.flags & (EROFS_WRITE_HUGE | EROFS_WRITE_TIGHT)) == EROFS_WRITE_HUGE
	               ? EROFS_HUGE_SIZE
	               : EROFS_BLOCK_SIZE,
	           &size);
	if (size > MAX_BYTES)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "an EROFS image holds at most 16 TiB");
	r = punch_dropped(w, tree, err);
	if (r == 0)
		r = emit_all_content(w, l, err);
	if (r == 0)
		r = emit_inodes(l, &w->sink, err);
	if (r == 0)
		r = emit_directories(l, &w->sink, err);
	if (r == 0)
		r = emit_super(l, &w->sink, size, err);
	if (r == 0)
		r = sink_truncate(&w->sink, size, err);
	if (r == 0 && stats)
		*stats = (struct erofs_write_stats){
		    .size = size,
		    .data_bytes = l->data_bytes,
		    .meta_bytes = l->meta_bytes,
		    .inodes = l->inodes,
		    .packed_files = packed ? packed->files.size / sizeof(struct packed_file) : 0,
		    .packed_bytes = packed ? packed->bytes : 0,
		    .packed_from = packed ? packed->from : 0,
		};
	return r;
}

int erofs_writer_finish(struct erofs_writer *w, struct erofs_tree *tree,
                        struct erofs_write_stats *stats, struct error *err)
{
	bool pack = w->opts.compression.compressor;
	struct packed packed = {0};
	struct layout l = {0};
	int r = 0;

	if (w->open || w->finished)
		return out_of_order("finish", err);
	if (pack)
		r = pack_tree(w, tree, &w->opts, &packed, err);
	w->finished = true;
	if (r == 0)
		r = write_laid_out(w, &l, tree, pack ? &packed : NULL, stats, err);
	layout_free(&l);
	packed_free(&packed);
	return r;
}

int erofs_write_tree(struct erofs_tree *tree, int out_fd, const struct erofs_write_opts *opts,
                     struct erofs_write_stats *stats, struct error *err)
{
	_cleanup_erofs_writer_ struct erofs_writer *w = NULL;
	int r = erofs_writer_begin(&w, out_fd, opts, err);

	return r < 0 ? r : erofs_writer_finish(w, tree, stats, err);
}

int erofs_set_uuid(int fd, const uint8_t uuid[16], struct error *err)
{
	uint8_t p[EROFS_BLOCK_SIZE - EROFS_SUPER_OFFSET];
	int r = fs_pread_all(fd, p, sizeof(p), EROFS_SUPER_OFFSET);

	if (r < 0 || get_le32(p + SB_MAGIC) != EROFS_MAGIC)
		return error_errno(err, r < 0 ? -r : EINVAL, "cannot name the EROFS image");
	memcpy(p + SB_UUID, uuid, 16);
	put_le32(p + SB_CHECKSUM, erofs_super_checksum(p, sizeof(p)));
	r = fs_pwrite_all(fd, p, EROFS_SUPER_SIZE, EROFS_SUPER_OFFSET);
	return r < 0 ? error_errno(err, -r, "cannot write the EROFS image") : 0;
}
