/* SPDX-License-Identifier: Apache-2.0 */
/* xattr: sets of extended attributes, each kept once however many nodes have it. */
#include <errno.h>
#include <string.h>

#include "lib/erofs/format.h"
#include "lib/erofs/layout.h"

static int keep_xattr(struct erofs_tree *tree, const struct erofs_xattr *x, struct interned **out,
                      struct error *err)
{
	_Alignas(struct xattr_key) uint8_t small[sizeof(struct xattr_key) + EROFS_NAME_MAX];
	_cleanup_free_ void *large = NULL;
	struct xattr_key *k = (struct xattr_key *)(void *)small;
	char q[EROFS_QUOTE_MAX];
	const char *rest;
	uint8_t index = erofs_xattr_index(x->name, &rest);
	size_t name_len, size;

	erofs_quote(q, sizeof(q), x->name, strlen(x->name));
	if (!index)
		return error_set_kind(err, ERROR_INPUT, EOPNOTSUPP,
		                      "EROFS cannot store the extended attribute \"%s\"", q);
	name_len = strlen(rest);
	if (name_len > EROFS_NAME_MAX || x->size > EROFS_XATTR_VALUE_MAX)
		return error_set_kind(err, ERROR_INPUT, E2BIG,
		                      "extended attribute \"%s\": name over %d or value over %d "
		                      "bytes",
		                      q, EROFS_NAME_MAX, EROFS_XATTR_VALUE_MAX);
	size = sizeof(*k) + name_len + x->size;
	if (size > sizeof(small)) {
		large = k = malloc(size);
		if (!k)
			return tree_no_memory(tree, err);
	}
	k->index = index;
	k->name_len = (uint8_t)name_len;
	k->value_size = (uint16_t)x->size;
	memcpy(k->name_value, rest, name_len);
	if (x->size)
		memcpy(k->name_value + name_len, x->value, x->size);
	*out = intern_get(&tree->xattrs, &tree->arena, &tree->key, k, size);
	return *out ? 0 : tree_no_memory(tree, err);
}

/* By index, then name: 0 when both are the same attribute. */
static int compare(const struct interned *a, const struct interned *b)
{
	const struct xattr_key *ka = xattr_item_key(a), *kb = xattr_item_key(b);

	if (ka->index != kb->index)
		return ka->index < kb->index ? -1 : 1;
	return erofs_name_compare((const char *)ka->name_value, ka->name_len,
	                          (const char *)kb->name_value, kb->name_len);
}

/* Inserts in order; -EEXIST, or the value replaced, when the name is there. */
static int insert(struct interned **items, size_t *n, struct interned *item, bool replace)
{
	size_t i = *n;
	int c = 1;

	while (i > 0 && (c = compare(items[i - 1], item)) > 0)
		i--;
	if (i > 0 && c == 0) {
		if (!replace)
			return -EEXIST;
		items[i - 1] = item;
		return 0;
	}
	memmove(items + i + 1, items + i, (*n - i) * sizeof(*items));
	items[i] = item;
	(*n)++;
	return 0;
}

/* A node's attributes must fit in the 16-bit size of its area even when all are inline. */
static int keep_set(struct erofs_tree *tree, struct erofs_node *node, struct interned **items,
                    size_t n, struct error *err)
{
	size_t area = XATTR_HEADER_SIZE;

	for (size_t i = 0; i < n; i++)
		area += layout_xattr_entry_size(xattr_item_key(items[i]));
	if (area > XATTR_AREA_MAX)
		return error_set_kind(err, ERROR_INPUT, E2BIG,
		                      "%zu bytes of extended attributes on one file, the most is "
		                      "%u",
		                      area, XATTR_AREA_MAX);
	if (!n) {
		node->xattrs = NULL;
		return 0;
	}
	node->xattrs =
	    intern_get(&tree->xattr_sets, &tree->arena, &tree->key, items, n * sizeof(*items));
	return node->xattrs ? 0 : tree_no_memory(tree, err);
}

int erofs_node_set_xattrs(struct erofs_tree *tree, struct erofs_node *node,
                          const struct erofs_xattr *list, size_t n, struct error *err)
{
	_cleanup_free_ struct interned **items = NULL;
	char q[EROFS_QUOTE_MAX];
	size_t have = 0;
	int r;

	/* Each takes 4 bytes of the area at the least. */
	if (n > XATTR_AREA_MAX / XATTR_ENTRY_SIZE)
		return error_set_kind(err, ERROR_INPUT, E2BIG,
		                      "%zu extended attributes on one file", n);
	items = calloc(n + 1, sizeof(*items));
	if (!items)
		return tree_no_memory(tree, err);
	for (size_t i = 0; i < n; i++) {
		struct interned *item;

		r = keep_xattr(tree, &list[i], &item, err);
		if (r < 0)
			return r;
		r = insert(items, &have, item, false);
		if (r < 0)
			return error_set_kind(
			    err, ERROR_INPUT, -r, "the extended attribute \"%s\" is given twice",
			    erofs_quote(q, sizeof(q), list[i].name, strlen(list[i].name)));
	}
	return keep_set(tree, node, items, have, err);
}

int erofs_node_add_xattr(struct erofs_tree *tree, struct erofs_node *node,
                         const struct erofs_xattr *xattr, struct error *err)
{
	size_t n = xattr_set_count(node->xattrs);
	_cleanup_free_ struct interned **items = calloc(n + 1, sizeof(*items));
	struct interned *item;
	int r;

	if (!items)
		return tree_no_memory(tree, err);
	r = keep_xattr(tree, xattr, &item, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		items[i] = xattr_set_item(node->xattrs, i);
	insert(items, &n, item, true);
	return keep_set(tree, node, items, n, err);
}

size_t erofs_node_xattr_count(const struct erofs_node *node)
{
	return xattr_set_count(node->xattrs);
}

int erofs_node_xattr(const struct erofs_node *node, size_t i, char *name, size_t name_size,
                     const void **value, size_t *size)
{
	const struct xattr_key *k;
	const char *prefix;
	size_t n;

	if (i >= xattr_set_count(node->xattrs))
		return -ENOENT;
	k = xattr_item_key(xattr_set_item(node->xattrs, i));
	prefix = erofs_xattr_prefix(k->index);
	n = strlen(prefix);
	if (n + k->name_len + 1 > name_size)
		return -ERANGE;
	memcpy(name, prefix, n);
	memcpy(name + n, k->name_value, k->name_len);
	name[n + k->name_len] = '\0';
	*value = k->name_value + k->name_len;
	*size = k->value_size;
	return 0;
}
