/* SPDX-License-Identifier: Apache-2.0 */
/* tree: entries, nodes and their content. */
#include "lib/erofs/tree.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/erofs/format.h"
#include "lib/erofs/node.h"

int erofs_name_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int c = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return c ? c : (a_len > b_len) - (a_len < b_len);
}

int tree_no_memory(const struct erofs_tree *tree, struct error *err)
{
	if (tree->arena.limit)
		return error_set_kind(err, ERROR_INPUT, E2BIG,
		                      "more files than fit in the limit of %zu bytes of memory",
		                      tree->arena.limit);
	return error_set(err, ENOMEM, "out of memory while collecting files");
}

static int check_attr(const struct erofs_attr *a, struct error *err)
{
	if (!erofs_file_type(a->mode) || a->mode > UINT16_MAX)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%o is no file mode", a->mode);
	if (a->mtime_ns >= 1000000000u)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "a time of %u nanoseconds is more than a second",
		                      a->mtime_ns);
	if (a->rdev_major > 0xfff || a->rdev_minor > 0xfffff)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "device %u:%u does not fit in 12 and 20 bits", a->rdev_major,
		                      a->rdev_minor);
	return 0;
}

void erofs_node_set_attr(struct erofs_node *node, const struct erofs_attr *a)
{
	node->mode = (uint16_t)((node->mode & S_IFMT) | (a->mode & 07777));
	node->uid = a->uid;
	node->gid = a->gid;
	node->mtime = a->mtime;
	node->mtime_ns = a->mtime_ns < 1000000000u ? a->mtime_ns : 0;
	if (node_is_device(node))
		node->block = erofs_encode_dev(a->rdev_major, a->rdev_minor);
	node->flags &= (uint8_t)~NODE_IMPLICIT;
}

int erofs_tree_new(struct erofs_tree **out, const struct erofs_attr *root, struct error *err)
{
	static const struct erofs_attr plain = {.mode = S_IFDIR | 0755};
	struct erofs_tree *tree;
	const bool implicit = !root;
	int r;

	*out = NULL;
	if (!root)
		root = &plain;
	r = check_attr(root, err);
	if (r < 0)
		return r;
	if ((root->mode & S_IFMT) != S_IFDIR)
		return error_set(err, ENOTDIR, "the root of a file system must be a directory");
	tree = calloc(1, sizeof(*tree));
	if (!tree)
		return error_set(err, ENOMEM, "out of memory for a file system tree");
	hash_key_init(&tree->key);
	tree->root.mode = S_IFDIR;
	erofs_node_set_attr(&tree->root, root);
	if (implicit)
		tree->root.flags |= NODE_IMPLICIT;
	*out = tree;
	return 0;
}

void erofs_tree_free(struct erofs_tree *tree)
{
	if (!tree)
		return;
	free(tree->buckets);
	intern_free(&tree->xattrs);
	intern_free(&tree->xattr_sets);
	intern_free(&tree->targets);
	arena_free(&tree->arena);
	free(tree);
}

void erofs_tree_set_limit(struct erofs_tree *tree, size_t bytes)
{
	tree->arena.limit = bytes;
}

size_t erofs_tree_memory(const struct erofs_tree *tree)
{
	return tree->arena.used + sizeof(*tree);
}

uint64_t erofs_tree_entries(const struct erofs_tree *tree)
{
	return tree->n_entries;
}

struct erofs_node *erofs_tree_root(struct erofs_tree *tree)
{
	return &tree->root;
}

/* ---------------------------------------------------------------- names */

/* The next component of *path: 1 and the name, 0 at the end, or an error. "." counts
 * as nothing. */
static int next_name(const char **path, size_t *len, const char **name, size_t *name_len)
{
	for (;;) {
		const char *slash;

		while (*len && **path == '/') {
			(*path)++;
			(*len)--;
		}
		if (!*len)
			return 0;
		slash = memchr(*path, '/', *len);
		*name = *path;
		*name_len = slash ? (size_t)(slash - *path) : *len;
		*path += *name_len;
		*len -= *name_len;
		if (*name_len == 1 && **name == '.')
			continue;
		if (*name_len > EROFS_NAME_MAX)
			return -ENAMETOOLONG;
		if ((*name_len == 2 && memcmp(*name, "..", 2) == 0) ||
		    memchr(*name, '\0', *name_len))
			return -EINVAL;
		return 1;
	}
}

static int bad_path(int r, const char *path, size_t len, struct error *err)
{
	char q[EROFS_QUOTE_MAX];

	erofs_quote(q, sizeof(q), path, len);
	switch (r) {
	case -ENAMETOOLONG:
		return error_set_kind(err, ERROR_INPUT, ENAMETOOLONG,
		                      "\"%s\": longer than %d bytes, or a name in it than %d", q,
		                      EROFS_PATH_MAX, EROFS_NAME_MAX);
	case -EINVAL:
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "\"%s\": a path with \"..\" or a NUL byte", q);
	case -ENOTDIR:
		return error_set_kind(err, ERROR_INPUT, ENOTDIR,
		                      "\"%s\": a parent of it is not a directory", q);
	case -ENOENT:
		return error_set_kind(err, ERROR_INPUT, ENOENT, "\"%s\": no such file in the tree",
		                      q);
	default:
		return error_errno(err, -r, "\"%s\"", q);
	}
}

static uint32_t entry_hash(const struct erofs_tree *tree, const struct erofs_node *dir,
                           const char *name, size_t len)
{
	return intern_hash(&tree->key, (uint64_t)(uintptr_t)dir, name, len);
}

static struct erofs_entry *child(const struct erofs_tree *tree, const struct erofs_node *dir,
                                 const char *name, size_t len)
{
	uint32_t hash = entry_hash(tree, dir, name, len);
	struct erofs_entry *e;

	for (e = tree->n_buckets ? tree->buckets[hash & (tree->n_buckets - 1)] : NULL; e;
	     e = e->chain)
		if (e->hash == hash && e->dir == dir && e->name_len == len &&
		    memcmp(e->name, name, len) == 0)
			return e;
	return NULL;
}

static bool grow_buckets(struct erofs_tree *tree)
{
	size_t n;
	struct erofs_entry **table = table_bigger(&tree->arena, tree->n_buckets, &n);

	if (!table)
		return false;
	for (size_t i = 0; i < tree->n_buckets; i++) {
		struct erofs_entry *e = tree->buckets[i];

		while (e) {
			struct erofs_entry *next = e->chain;

			e->chain = table[e->hash & (n - 1)];
			table[e->hash & (n - 1)] = e;
			e = next;
		}
	}
	table_free(&tree->arena, tree->buckets, tree->n_buckets);
	tree->buckets = table;
	tree->n_buckets = n;
	return true;
}

/* A new name in a directory that lacks it; its node is set by the caller. */
static struct erofs_entry *new_entry(struct erofs_tree *tree, struct erofs_node *dir,
                                     const char *name, size_t len)
{
	struct erofs_entry *e, **bucket;

	if (tree->n_entries >= tree->n_buckets && !grow_buckets(tree))
		return NULL;
	e = arena_alloc(&tree->arena, offsetof(struct erofs_entry, name) + len + 1);
	if (!e)
		return NULL;
	memcpy(e->name, name, len);
	e->name_len = (uint8_t)len;
	e->dir = dir;
	e->hash = entry_hash(tree, dir, name, len);
	bucket = &tree->buckets[e->hash & (tree->n_buckets - 1)];
	e->chain = *bucket;
	*bucket = e;
	tree->n_entries++;

	if (dir->last) {
		if (erofs_name_compare(dir->last->name, dir->last->name_len, name, len) > 0)
			dir->flags |= NODE_UNSORTED;
		dir->last->next = e;
	} else {
		dir->first = e;
	}
	dir->last = e;
	return e;
}

static void unhash(struct erofs_tree *tree, struct erofs_entry *e)
{
	struct erofs_entry **p = &tree->buckets[e->hash & (tree->n_buckets - 1)];

	while (*p != e)
		p = &(*p)->chain;
	*p = e->chain;
	tree->n_entries--;
}

/* ---------------------------------------------------------------- adding and removing */

static int unlink_node(struct erofs_tree *tree, struct erofs_node *node, struct error *err)
{
	if (node_is_dir(node) || --node->nlink > 0)
		return 0;
	return tree_drop_content(tree, node, err);
}

static struct erofs_entry *up_and_over(struct erofs_entry *e, const struct erofs_entry *top)
{
	while (e && e != top && !e->next)
		e = e->dir->self;
	return e && e != top ? e->next : NULL;
}

/* Removes top and all below it. The memory stays with the arena. */
static int remove_entry(struct erofs_tree *tree, struct erofs_entry *top, struct error *err)
{
	struct erofs_entry *e = top;
	int r = 0;

	while (e) {
		struct erofs_node *node = e->node;

		if (node) {
			int r2;

			unhash(tree, e);
			e->node = NULL;
			r2 = unlink_node(tree, node, err);
			if (r2 < 0)
				r = r2;
		}
		e = node && node_is_dir(node) && node->first ? node->first : up_and_over(e, top);
	}
	top->dir->flags |= NODE_HAS_DEAD;
	return r;
}

static struct erofs_node *new_node(struct erofs_tree *tree, uint32_t mode)
{
	struct erofs_node *node = arena_alloc(&tree->arena, sizeof(*node));

	if (node)
		node->mode = (uint16_t)mode;
	return node;
}

static int new_directory(struct erofs_tree *tree, struct erofs_node *dir, const char *name,
                         size_t len, struct erofs_entry **out, struct error *err)
{
	struct erofs_node *node = new_node(tree, S_IFDIR | 0755);
	struct erofs_entry *e = node ? new_entry(tree, dir, name, len) : NULL;

	if (!e)
		return tree_no_memory(tree, err);
	node->mtime = tree->root.mtime;
	node->mtime_ns = tree->root.mtime_ns;
	node->flags = NODE_IMPLICIT;
	node->self = e;
	e->node = node;
	*out = e;
	return 0;
}

/* Walks to the parent of path, making what is missing with `make`. *name is the last
 * component; *name_len 0 when path is the root. */
static int find_parent(struct erofs_tree *tree, const char *path, size_t len, bool make,
                       struct erofs_node **dir, const char **name, size_t *name_len,
                       struct error *err)
{
	const char *p = path, *next;
	size_t left = len, next_len;
	struct erofs_entry *e;
	int r;

	*dir = &tree->root;
	*name = path;
	*name_len = 0;
	r = len > EROFS_PATH_MAX ? -ENAMETOOLONG : next_name(&p, &left, name, name_len);
	if (r <= 0) {
		*name_len = 0;
		return r < 0 ? bad_path(r, path, len, err) : 0;
	}
	while ((r = next_name(&p, &left, &next, &next_len)) > 0) {
		e = child(tree, *dir, *name, *name_len);
		if (!e) {
			if (!make)
				return bad_path(-ENOENT, path, len, err);
			r = new_directory(tree, *dir, *name, *name_len, &e, err);
			if (r < 0)
				return r;
		}
		if (!node_is_dir(e->node))
			return bad_path(-ENOTDIR, path, len, err);
		*dir = e->node;
		*name = next;
		*name_len = next_len;
	}
	return r < 0 ? bad_path(r, path, len, err) : 0;
}

/* Makes (dir, name) stand for node, whatever it stood for. */
static int place(struct erofs_tree *tree, struct erofs_node *dir, const char *name, size_t len,
                 struct erofs_node *node, struct error *err)
{
	struct erofs_entry *e = child(tree, dir, name, len);
	int r = 0;

	/* Counted first: what is replaced may hold the node's only other name. */
	if (!node_is_dir(node))
		node->nlink++;
	if (e && node_is_dir(e->node)) {
		r = remove_entry(tree, e, err);
		e = NULL;
	} else if (e) {
		r = unlink_node(tree, e->node, err);
	}
	if (r < 0)
		return r;
	if (!e)
		e = new_entry(tree, dir, name, len);
	if (!e)
		return tree_no_memory(tree, err);
	e->node = node;
	if (node_is_dir(node))
		node->self = e;
	return 0;
}

int tree_add_at(struct erofs_tree *tree, struct erofs_node *dir, const char *name, size_t len,
                const struct erofs_attr *attr, struct erofs_node **out, struct error *err)
{
	struct erofs_node *node = NULL;
	struct erofs_entry *e;
	int r = check_attr(attr, err);

	if (r < 0)
		return r;
	if (!len) {
		node = dir;
	} else {
		e = child(tree, dir, name, len);
		if (e && node_is_dir(e->node))
			node = e->node;
	}
	if (node && (attr->mode & S_IFMT) == S_IFDIR) {
		node->xattrs = NULL;
	} else if (!len) {
		return error_set_kind(err, ERROR_INPUT, EPERM,
		                      "the root must be a directory, not of mode %o", attr->mode);
	} else {
		node = new_node(tree, attr->mode & S_IFMT);
		if (!node)
			return tree_no_memory(tree, err);
		r = place(tree, dir, name, len, node, err);
		if (r < 0)
			return r;
	}
	erofs_node_set_attr(node, attr);
	*out = node;
	return 0;
}

static int add(struct erofs_tree *tree, const char *path, size_t len, const struct erofs_attr *attr,
               struct erofs_node **out, struct error *err)
{
	struct erofs_node *dir;
	const char *name;
	size_t name_len;
	char q[EROFS_QUOTE_MAX];
	int r = find_parent(tree, path, len, true, &dir, &name, &name_len, err);

	if (r < 0)
		return r;
	r = tree_add_at(tree, dir, name, name_len, attr, out, err);
	return r < 0 ? error_prefix(err, r, "\"%s\"", erofs_quote(q, sizeof(q), path, len)) : 0;
}

int erofs_tree_add(struct erofs_tree *tree, const char *path, size_t len,
                   const struct erofs_attr *attr, struct erofs_node **out, struct error *err)
{
	struct erofs_node *node = NULL;
	int r;

	if ((attr->mode & S_IFMT) == S_IFLNK)
		return error_set(err, EINVAL, "a symbolic link is added with its target");
	r = add(tree, path, len, attr, &node, err);
	if (out)
		*out = node;
	return r;
}

int erofs_tree_add_symlink(struct erofs_tree *tree, const char *path, size_t len,
                           const struct erofs_attr *attr, const char *target, size_t target_len,
                           struct erofs_node **out, struct error *err)
{
	struct erofs_attr a = *attr;
	struct erofs_node *node = NULL;
	char q[EROFS_QUOTE_MAX];
	int r;

	if (out)
		*out = NULL;
	if (!target_len || target_len > EROFS_SYMLINK_MAX || memchr(target, '\0', target_len))
		return error_set_kind(
		    err, ERROR_INPUT, target_len ? ENAMETOOLONG : EINVAL,
		    "\"%s\": the link's target must have 1 to %d bytes and no NUL",
		    erofs_quote(q, sizeof(q), path, len), EROFS_SYMLINK_MAX);
	a.mode = S_IFLNK | (a.mode & 07777);
	r = add(tree, path, len, &a, &node, err);
	if (r == 0)
		r = tree_set_target(tree, node, target, target_len, err);
	if (r == 0 && out)
		*out = node;
	return r;
}

int tree_link_at(struct erofs_tree *tree, struct erofs_node *dir, const char *name, size_t len,
                 struct erofs_node *node, struct error *err)
{
	struct erofs_entry *e = child(tree, dir, name, len);

	return e && e->node == node ? 0 : place(tree, dir, name, len, node, err);
}

int erofs_tree_link_node(struct erofs_tree *tree, const char *path, size_t len,
                         struct erofs_node *node, struct error *err)
{
	struct erofs_node *dir;
	const char *name;
	size_t name_len;
	char q[EROFS_QUOTE_MAX];
	int r;

	if (node_is_dir(node))
		return error_set_kind(err, ERROR_INPUT, EPERM,
		                      "\"%s\": a directory cannot have a hard link",
		                      erofs_quote(q, sizeof(q), path, len));
	r = find_parent(tree, path, len, true, &dir, &name, &name_len, err);
	if (r < 0)
		return r;
	if (!name_len)
		return error_set_kind(err, ERROR_INPUT, EPERM, "the root cannot be a hard link");
	return tree_link_at(tree, dir, name, name_len, node, err);
}

int erofs_tree_link(struct erofs_tree *tree, const char *path, size_t len, const char *target,
                    size_t target_len, struct error *err)
{
	struct erofs_node *node = erofs_tree_find(tree, target, target_len);
	char q[EROFS_QUOTE_MAX];
	int r;

	if (!node) {
		r = bad_path(-ENOENT, target, target_len, err);
		return error_prefix(err, r, "hard link \"%s\"",
		                    erofs_quote(q, sizeof(q), path, len));
	}
	return erofs_tree_link_node(tree, path, len, node, err);
}

int erofs_tree_remove(struct erofs_tree *tree, const char *path, size_t len, struct error *err)
{
	struct erofs_node *dir;
	struct erofs_entry *e;
	const char *name;
	size_t name_len;
	int r = find_parent(tree, path, len, false, &dir, &name, &name_len, NULL);

	if (r == -ENOENT || r == -ENOTDIR)
		return 1;
	if (r < 0)
		return bad_path(r, path, len, err);
	if (!name_len)
		return error_set(err, EPERM, "the root cannot be removed");
	e = child(tree, dir, name, name_len);
	if (!e)
		return 1;
	return remove_entry(tree, e, err);
}

struct erofs_node *erofs_tree_find(struct erofs_tree *tree, const char *path, size_t len)
{
	struct erofs_node *dir;
	struct erofs_entry *e;
	const char *name;
	size_t name_len;

	if (find_parent(tree, path, len, false, &dir, &name, &name_len, NULL) < 0)
		return NULL;
	if (!name_len)
		return dir;
	e = child(tree, dir, name, name_len);
	return e ? e->node : NULL;
}
