/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer: turns a tree into an EROFS image that DAX can map.
 *
 * Every regular file is FLAT_PLAIN: its bytes are one run of whole 4096-byte
 * blocks, never inline, so the kernel maps them straight from pmem. The same
 * tree and options give the same bytes.
 *
 * With a compressor, files that take fewer blocks that way are compressed (full
 * index, zero padding; Linux 5.13 for clusters of more than one block). Streamed
 * content and nodes that are hot (tree.h) stay as they are. Compressed content
 * comes first in the image, metadata behind it. Takes 4 MiB and 8 bytes a cluster
 * of memory more.
 *
 * Two ways in:
 *  - erofs_write_tree(): all is in the tree (paths, memory); the writer places it;
 *  - streaming: erofs_writer_begin(), for each file data_start/data/data_end as
 *    bytes arrive, erofs_node_set_extent() on its node, then erofs_writer_finish().
 *    Nothing is kept but a 256 KiB buffer. Content of paths and memory may be
 *    mixed in: finish writes what is not in the image yet.
 *
 * The output is a regular file (or memfd), empty or to be overwritten, open for
 * writing; it is truncated at the start and neither synced nor closed. On an error
 * its content is undefined: write to a temporary name. System calls on the output:
 * pwrite64, ftruncate, fallocate, fstat (and copy_file_range for sources).
 *
 * Errors: errno values of the output (-ENOSPC ...) and of the sources, -EFBIG for more
 * than 2^32 blocks, -ESTALE when a source changed its size after it was added, -EINVAL
 * for calls out of order.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/erofs/compress.h"
#include "lib/erofs/tree.h"

#define EROFS_BLOCK_SIZE 4096u
#define EROFS_HUGE_SIZE  (2u << 20) /* what one PMD maps on x86-64 */

enum erofs_write_flags {
	/* Files of EROFS_HUGE_SIZE and more begin on such a boundary and the image ends
	 * on one; the gaps are filled with small files and metadata, the rest are holes. */
	EROFS_WRITE_HUGE = 1u << 0,
	/* Directories and symbolic links, which DAX never maps, may sit beside their
	 * inodes. Takes a fraction of the room: for layers that live in memory. */
	EROFS_WRITE_INLINE_META = 1u << 1,
	/* The image ends with its last block, also with EROFS_WRITE_HUGE: for layers, many of
	 * which are small, and which go through a registry. */
	EROFS_WRITE_TIGHT = 1u << 2,
	/* Streaming: several nodes may have the same extent. The room of content that left the
	 * tree is kept, for others may have it. */
	EROFS_WRITE_SHARED = 1u << 3,
};

struct erofs_write_opts {
	uint32_t flags; /* enum erofs_write_flags */
	uint8_t uuid[16];
	char volume_name[16]; /* not NUL-terminated when full */
	/* Inodes whose mtime is this take 32 bytes instead of 64. */
	int64_t build_time;
	uint32_t build_time_ns;
	struct erofs_compression compression; /* all zero: none */
	/* Asked between pieces of content, 4 MiB at most: true ends the writing (-EINTR). NULL:
	 * never. */
	bool (*interrupted)(void);
};

/* An image to boot from; a container layer in memory. */
#define EROFS_WRITE_OPTS_IMAGE                                                                     \
	{                                                                                          \
		.flags = EROFS_WRITE_HUGE                                                          \
	}
#define EROFS_WRITE_OPTS_LAYER                                                                     \
	{                                                                                          \
		.flags = EROFS_WRITE_INLINE_META                                                   \
	}

struct erofs_write_stats {
	uint64_t size;       /* of the image file, bytes */
	uint64_t data_bytes; /* in regular files, each counted once */
	uint64_t meta_bytes; /* superblock, inodes, xattrs, directories, symlinks */
	uint64_t inodes;
	uint64_t packed_files; /* compressed ones, ... */
	uint64_t packed_bytes; /* ... their size in the image, and ... */
	uint64_t packed_from;  /* ... before */
};

/* Writes the whole tree. stats may be NULL. */
int erofs_write_tree(struct erofs_tree *tree, int out_fd, const struct erofs_write_opts *opts,
                     struct erofs_write_stats *stats, struct error *err);

/* Gives an image that is written another UUID: the same bytes as if it had been in opts. */
int erofs_set_uuid(int fd, const uint8_t uuid[16], struct error *err);

struct erofs_writer;

/* out_fd stays the caller's and must outlive the writer. opts are copied. */
int erofs_writer_begin(struct erofs_writer **out, int out_fd, const struct erofs_write_opts *opts,
                       struct error *err);
void erofs_writer_free(struct erofs_writer *w);
DEFINE_CLEANUP(struct erofs_writer, erofs_writer, erofs_writer_free)
#define _cleanup_erofs_writer_ _cleanup_(cleanup_erofs_writer)

#define EROFS_SIZE_UNKNOWN UINT64_MAX

/* One file at a time. `size` decides the place: what is left before a 2 MiB-aligned file is
 * taken by smaller ones that come later; with a known size data_end() is
 * -ENODATA when less has come and data() -EFBIG when more does. */
int erofs_writer_data_start(struct erofs_writer *w, uint64_t size, struct error *err);
int erofs_writer_data(struct erofs_writer *w, const void *data, size_t size, struct error *err);
/* A hole of `size` zeros (sparse members of archives). */
int erofs_writer_data_zeros(struct erofs_writer *w, uint64_t size, struct error *err);
/* Of the open file: the block where it begins. */
uint32_t erofs_writer_data_block(const struct erofs_writer *w);
/* What has come is all that comes, whatever was announced. */
void erofs_writer_data_cut(struct erofs_writer *w);
int erofs_writer_data_end(struct erofs_writer *w, struct erofs_extent *extent, struct error *err);
/* EROFS_WRITE_SHARED from here on. */
void erofs_writer_share(struct erofs_writer *w);
/* Ends a started file without result; its room is used by others. Nothing when none is
 * started. */
int erofs_writer_data_abort(struct erofs_writer *w, struct error *err);

/* Writes metadata and superblock; the image is then complete. The room of content that
 * left the tree (a path added twice) is given back as holes. Call once. */
int erofs_writer_finish(struct erofs_writer *w, struct erofs_tree *tree,
                        struct erofs_write_stats *stats, struct error *err);
