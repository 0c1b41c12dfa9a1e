/* SPDX-License-Identifier: Apache-2.0 */
/* content: what a node of the tree holds: an extent, a host file, memory, a link's target. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/erofs/node.h"

int tree_drop_content(struct erofs_tree *tree, struct erofs_node *node, struct error *err)
{
	struct dropped_extent *d;

	if (node->content == CONTENT_EXTENT && node->size > 0) {
		d = arena_alloc(&tree->arena, sizeof(*d));
		if (!d)
			return tree_no_memory(tree, err);
		*d = (struct dropped_extent){tree->dropped, {node->block, node->size}};
		tree->dropped = d;
	}
	if (node->content != CONTENT_NONE) {
		node->content = CONTENT_NONE;
		node->size = 0;
		node->block = 0;
		node->source = NULL;
	}
	return 0;
}

static int must_be_file(const struct erofs_node *node, struct error *err)
{
	if (node_is_file(node))
		return 0;
	return error_set(err, EINVAL, "only regular files have content");
}

int erofs_node_set_extent(struct erofs_tree *tree, struct erofs_node *node,
                          const struct erofs_extent *extent, struct error *err)
{
	int r = must_be_file(node, err);

	if (r == 0)
		r = tree_drop_content(tree, node, err);
	if (r < 0)
		return r;
	node->content = CONTENT_EXTENT;
	node->block = extent->block;
	node->size = extent->size;
	return 0;
}

int erofs_node_set_chunks(struct erofs_tree *tree, struct erofs_node *node, const uint32_t *blocks,
                          size_t n, uint64_t size, struct error *err)
{
	uint32_t *copy;
	int r = must_be_file(node, err);

	if (r == 0 && n != size / EROFS_CHUNK_SIZE + (size % EROFS_CHUNK_SIZE != 0))
		r = error_set(err, EINVAL, "%zu chunks do not make %llu bytes", n,
		              (unsigned long long)size);
	if (r == 0)
		r = tree_drop_content(tree, node, err);
	if (r < 0)
		return r;
	copy = arena_array(&tree->arena, n, sizeof(*copy));
	if (!copy)
		return tree_no_memory(tree, err);
	memcpy(copy, blocks, n * sizeof(*copy));
	node->content = CONTENT_CHUNKS;
	node->chunks = copy;
	node->size = size;
	return 0;
}

const struct source *tree_new_source(struct erofs_tree *tree, const struct source *dir,
                                     const char *name)
{
	size_t len = strlen(name);
	struct source *s = arena_alloc(&tree->arena, sizeof(*s) + len + 1);

	if (s) {
		s->dir = dir;
		memcpy(s->name, name, len);
	}
	return s;
}

int tree_set_source(struct erofs_tree *tree, struct erofs_node *node, const struct source *source,
                    uint64_t size, struct error *err)
{
	int r = must_be_file(node, err);

	if (r == 0)
		r = tree_drop_content(tree, node, err);
	if (r < 0)
		return r;
	if (!source)
		return tree_no_memory(tree, err);
	node->content = CONTENT_SOURCE;
	node->source = source;
	node->size = size;
	return 0;
}

int erofs_node_set_path(struct erofs_tree *tree, struct erofs_node *node, const char *path,
                        uint64_t size, struct error *err)
{
	return tree_set_source(tree, node, tree_new_source(tree, NULL, path), size, err);
}

int erofs_node_set_memory(struct erofs_tree *tree, struct erofs_node *node, const void *data,
                          size_t size, struct error *err)
{
	int r = must_be_file(node, err);

	if (r == 0)
		r = tree_drop_content(tree, node, err);
	if (r < 0)
		return r;
	node->content = CONTENT_MEMORY;
	node->memory = data;
	node->size = size;
	return 0;
}

int erofs_node_copy_memory(struct erofs_tree *tree, struct erofs_node *node, const void *data,
                           size_t size, struct error *err)
{
	void *copy = arena_alloc(&tree->arena, size ? size : 1);

	if (!copy)
		return tree_no_memory(tree, err);
	if (size)
		memcpy(copy, data, size);
	return erofs_node_set_memory(tree, node, copy, size, err);
}

void erofs_node_set_hot(struct erofs_node *node)
{
	if (node_is_file(node))
		node->flags |= NODE_HOT;
}

int tree_set_target(struct erofs_tree *tree, struct erofs_node *node, const char *target,
                    size_t len, struct error *err)
{
	node->target = intern_get(&tree->targets, &tree->arena, &tree->key, target, len);
	node->size = len;
	return node->target ? 0 : tree_no_memory(tree, err);
}
