/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack: compresses the files of a tree into the image, before it is laid out.
 *
 * A file becomes clusters of whole blocks, one behind the other. Each but the last stands for
 * at least 4096 bytes, so that no two begin within the same 4096 bytes of the file: the index
 * has one entry for those.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/erofs/format.h"
#include "lib/erofs/node.h"
#include "lib/erofs/sink.h"
#include "lib/erofs/writer.h"

/* One cluster: how many bytes of the file, and in how many blocks. */
struct packed_cluster {
	uint32_t length;
	uint16_t blocks;
	uint16_t plain; /* as they are, not compressed */
};

struct packed_file {
	uint32_t block;  /* first */
	uint32_t blocks; /* of all clusters */
	uint64_t first;  /* of its clusters in packed.clusters, and ... */
	uint64_t n;      /* ... how many */
};

struct packed {
	struct buffer files;    /* struct packed_file; a node's `block` is its number, from 1 on */
	struct buffer clusters; /* struct packed_cluster */
	uint64_t bytes, from;   /* of the image, that files take; of those files */
};

void packed_free(struct packed *p);

/* Compresses what shrinks, through the streaming interface of the writer, which must have no
 * file open; sets or clears NODE_PACKED of all nodes. */
int pack_tree(struct erofs_writer *w, struct erofs_tree *tree, const struct erofs_write_opts *opts,
              struct packed *out, struct error *err);

static inline const struct packed_file *packed_file(const struct packed *p,
                                                    const struct erofs_node *node)
{
	return (const struct packed_file *)(const void *)p->files.data + (node->block - 1);
}

/* Bytes from the end of the inode and its xattrs (at `at`) on: header and index. */
static inline uint64_t packed_index_size(uint64_t at, uint64_t file_size)
{
	uint64_t n = file_size / EROFS_BLOCK_SIZE + (file_size % EROFS_BLOCK_SIZE != 0);

	return -at % 8 + CLUSTER_HEADER_SIZE + CLUSTER_INDEX_GAP + n * CLUSTER_ENTRY_SIZE;
}

/* Writes them. `big`: clusters may have more than one block. */
int packed_emit_index(const struct packed *p, const struct packed_file *file, bool big,
                      struct sink *s, uint64_t at, struct error *err);
