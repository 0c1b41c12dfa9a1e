/* SPDX-License-Identifier: Apache-2.0 */
/* walk: reading the tree: attributes, sorted children, paths. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/erofs/format.h"
#include "lib/erofs/node.h"

void erofs_node_attr(const struct erofs_node *node, struct erofs_attr *out)
{
	*out = (struct erofs_attr){
	    .mode = node->mode,
	    .uid = node->uid,
	    .gid = node->gid,
	    .mtime = node->mtime,
	    .mtime_ns = node->mtime_ns,
	};
	if (node_is_device(node))
		erofs_decode_dev(node->block, &out->rdev_major, &out->rdev_minor);
}

uint32_t erofs_node_nlink(const struct erofs_node *node)
{
	uint32_t n = 2;

	if (!node_is_dir(node))
		return node->nlink;
	for (const struct erofs_entry *e = node->first; e; e = e->next)
		n += e->node && node_is_dir(e->node);
	return n;
}

uint64_t erofs_node_size(const struct erofs_node *node)
{
	return node_is_dir(node) ? 0 : node->size;
}

const char *erofs_node_target(const struct erofs_node *node, size_t *len)
{
	if (!node_is_link(node))
		return NULL;
	*len = node->target->size;
	return (const char *)node->target->bytes;
}

bool erofs_node_implicit(const struct erofs_node *node)
{
	return node->flags & NODE_IMPLICIT;
}

static struct erofs_entry *merge(struct erofs_entry *a, struct erofs_entry *b)
{
	struct erofs_entry *first = NULL, **tail = &first;

	while (a && b) {
		struct erofs_entry **least =
		    erofs_name_compare(a->name, a->name_len, b->name, b->name_len) <= 0 ? &a : &b;

		*tail = *least;
		tail = &(*least)->next;
		*least = (*least)->next;
	}
	*tail = a ? a : b;
	return first;
}

/* Merge sort of a list: run i of `runs` holds 2^i entries. */
static void sort_children(struct erofs_node *dir)
{
	struct erofs_entry *runs[48] = {NULL}, *e = dir->first, *all = NULL;
	size_t n = 0;

	while (e) {
		struct erofs_entry *next = e->next, *run = e;
		size_t i;

		e->next = NULL;
		for (i = 0; i < n && runs[i]; i++) {
			run = merge(runs[i], run);
			runs[i] = NULL;
		}
		if (i == n)
			n++;
		runs[i] = run;
		e = next;
	}
	for (size_t i = 0; i < n; i++)
		all = merge(runs[i], all);
	dir->first = all;
}

static void drop_dead(struct erofs_node *dir)
{
	struct erofs_entry **p = &dir->first;

	while (*p) {
		if ((*p)->node)
			p = &(*p)->next;
		else
			*p = (*p)->next;
	}
}

struct erofs_entry *erofs_node_children(struct erofs_node *dir)
{
	if (!node_is_dir(dir))
		return NULL;
	if (dir->flags & (NODE_HAS_DEAD | NODE_UNSORTED)) {
		if (dir->flags & NODE_HAS_DEAD)
			drop_dead(dir);
		if (dir->flags & NODE_UNSORTED)
			sort_children(dir);
		dir->flags &= (uint8_t) ~(NODE_HAS_DEAD | NODE_UNSORTED);
		dir->last = dir->first;
		while (dir->last && dir->last->next)
			dir->last = dir->last->next;
	}
	return dir->first;
}

struct erofs_entry *erofs_entry_next(struct erofs_entry *entry)
{
	return entry->next;
}

struct erofs_entry *erofs_tree_walk(struct erofs_tree *tree, struct erofs_entry *entry)
{
	struct erofs_entry *inner = erofs_node_children(entry ? entry->node : &tree->root);

	if (inner)
		return inner;
	while (entry && !entry->next)
		entry = entry->dir->self;
	return entry ? entry->next : NULL;
}

const char *erofs_entry_name(const struct erofs_entry *entry, size_t *len)
{
	if (len)
		*len = entry->name_len;
	return entry->name;
}

struct erofs_node *erofs_entry_node(const struct erofs_entry *entry)
{
	return entry->node;
}

ssize_t erofs_entry_path(const struct erofs_entry *entry, char *buf, size_t size)
{
	const struct erofs_entry *e;
	size_t len = 0, at;

	for (e = entry; e; e = e->dir->self)
		len += e->name_len + 1u;
	if (len > size)
		return -ERANGE;
	at = len;
	for (e = entry; e; e = e->dir->self) {
		buf[--at] = e == entry ? '\0' : '/';
		at -= e->name_len;
		memcpy(buf + at, e->name, e->name_len);
	}
	return (ssize_t)len - 1;
}
