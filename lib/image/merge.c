/* SPDX-License-Identifier: Apache-2.0 */
/* merge: see the header. */
#include "lib/image/merge.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/image/path.h"

#define MOVES_MAX 64 /* directories that are symbolic links below, in one layer */

void merge_clear(struct merge *m)
{
	erofs_tree_free(m->tree);
	strv_free(&m->whiteouts);
	strv_free(&m->opaque);
	*m = (struct merge){0};
}

static bool is_dir(const struct erofs_node *node)
{
	struct erofs_attr a;

	erofs_node_attr(node, &a);
	return S_ISDIR(a.mode);
}

/* ---- whiteouts and opaque directories */

static int make_opaque(struct merge *m, struct erofs_node *node, struct error *err)
{
	static const struct erofs_xattr opaque = {"trusted.overlay.opaque", "y", 1};

	return erofs_node_add_xattr(m->tree, node, &opaque, err);
}

/* Some name in a directory makes the directory, as one that the archive does not carry. */
static int touch_directory(struct merge *m, const char *path, struct error *err)
{
	static const struct erofs_attr any = {.mode = S_IFREG};
	struct image_path p;
	int r = image_path_set(&p, path, err);

	if (!r)
		r = image_path_add(&p, ".wh..wh..opq", err);
	if (!r)
		r = image_path_resolve(m->tree, &p, err);
	if (!r)
		r = erofs_tree_add(m->tree, p.text, p.len, &any, NULL, err);
	return r ? r : erofs_tree_remove(m->tree, p.text, p.len, err);
}

static int apply_opaque(struct merge *m, const char *path, struct error *err)
{
	struct erofs_node *node = erofs_tree_find(m->tree, path, strlen(path));
	struct image_path p;
	int r;

	if (!node || !is_dir(node)) {
		r = touch_directory(m, path, err);
		/* The same archive has a file there: it hides more than the mark would. */
		if (r)
			return r == -ENOTDIR ? 0 : r;
		/* Through links, it may have another name now. */
		r = image_path_set(&p, path, err);
		if (!r)
			r = image_path_add(&p, "x", err);
		if (!r)
			r = image_path_resolve(m->tree, &p, err);
		if (r)
			return r;
		image_path_up(&p);
		node = erofs_tree_find(m->tree, p.text, p.len);
	}
	return node ? make_opaque(m, node, err) : 0;
}

static int apply_whiteout(struct merge *m, const char *path, struct error *err)
{
	/* Character device 0:0 (overlayfs.rst, "whiteouts"). */
	static const struct erofs_attr whiteout = {.mode = S_IFCHR};
	struct erofs_node *node;
	struct image_path p;
	int r = image_path_set(&p, path, err);

	if (!r)
		r = image_path_resolve(m->tree, &p, err);
	if (r)
		return r;
	node = erofs_tree_find(m->tree, p.text, p.len);
	if (!node) {
		r = erofs_tree_add(m->tree, p.text, p.len, &whiteout, NULL, err);
		return r == -ENOTDIR ? 0 : r;
	}
	/* The layer has that name itself: a file hides what is below, a directory would
	 * show it. An empty directory made as a parent only is hidden alike. */
	return is_dir(node) ? make_opaque(m, node, err) : 0;
}

/* ---- parents that the archive does not carry */

struct copy {
	struct erofs_tree *tree;
	struct erofs_node *node;
	struct error *err;
};

static int copy_xattr(const char *name, const void *value, size_t size, void *data)
{
	struct copy *c = data;
	struct erofs_xattr x = {name, value, size};

	if (str_starts(name, "trusted.overlay."))
		return 0;
	return erofs_node_add_xattr(c->tree, c->node, &x, c->err);
}

int merge_copy_xattrs(struct erofs_tree *tree, struct erofs_node *node, struct erofs_image *image,
                      const struct erofs_stat *st, struct error *err)
{
	struct copy copy = {tree, node, err};

	return erofs_xattrs(image, st, copy_xattr, &copy, err);
}

static int inherit(struct merge *m, struct erofs_node *node, struct erofs_image *image,
                   const struct erofs_stat *st, struct error *err)
{
	struct erofs_attr a = {.mode = st->mode,
	                       .uid = st->uid,
	                       .gid = st->gid,
	                       .mtime = st->mtime,
	                       .mtime_ns = st->mtime_ns};

	erofs_node_set_attr(node, &a);
	return merge_copy_xattrs(m->tree, node, image, st, err);
}

/* The paths of all that is below a directory, a directory before what is in it. */
static int list_below(struct merge *m, const struct image_path *dir, struct strv *out,
                      struct error *err)
{
	char path[PATH_ROOM];

	for (struct erofs_entry *e = erofs_tree_walk(m->tree, NULL); e;
	     e = erofs_tree_walk(m->tree, e)) {
		if (erofs_entry_path(e, path, sizeof(path)) < 0)
			return error_set(err, ENAMETOOLONG, "a path that is too long");
		if (!strncmp(path, dir->text, dir->len) && path[dir->len] == '/' &&
		    strv_add(out, path))
			return error_set(err, ENOMEM, "out of memory");
	}
	return 0;
}

static int move_one(struct merge *m, const char *from, const struct image_path *to,
                    struct error *err)
{
	struct erofs_node *node = erofs_tree_find(m->tree, from, strlen(from)), *made;
	char name[EROFS_NAME_MAX + 32];
	struct erofs_xattr x = {.name = name};
	struct erofs_attr a;
	int r;

	if (!node || erofs_node_implicit(node))
		return 0;
	if (!is_dir(node))
		return erofs_tree_link_node(m->tree, to->text, to->len, node, err);
	erofs_node_attr(node, &a);
	r = erofs_tree_add(m->tree, to->text, to->len, &a, &made, err);
	for (size_t i = 0; !r; i++) {
		if (erofs_node_xattr(node, i, name, sizeof(name), &x.value, &x.size))
			break;
		r = erofs_node_add_xattr(m->tree, made, &x, err);
	}
	return r;
}

/* Below, `dir` is a symbolic link: what the layer has in it belongs where that points. */
static int move_through(struct merge *m, const struct image_path *dir, const char *target,
                        struct error *err)
{
	_cleanup_strv_ struct strv paths = STRV_INIT;
	struct image_path base = *dir, to;
	int r = 0;

	if (target[0] == '/')
		base.len = 0;
	else
		image_path_up(&base);
	base.text[base.len] = '\0';
	r = image_path_add(&base, target, err);
	if (!r && (!base.len || (!strncmp(base.text, dir->text, dir->len) &&
	                         (base.text[dir->len] == '/' || !base.text[dir->len]))))
		r = base.len ? error_set_kind(err, ERROR_INPUT, ELOOP,
		                              "\"%.100s\" is a symbolic link into itself below",
		                              dir->text)
		             : 0;
	if (!r)
		r = list_below(m, dir, &paths, err);
	for (size_t i = 0; !r && i < paths.n; i++) {
		to = base;
		r = image_path_add(&to, paths.v[i] + dir->len + 1, err);
		if (!r)
			r = image_path_resolve(m->tree, &to, err);
		if (!r)
			r = move_one(m, paths.v[i], &to, err);
	}
	return r ? r : erofs_tree_remove(m->tree, dir->text, dir->len, err);
}

/* One directory: 1 when the tree was changed so that the walk must begin again. */
static int settle(struct merge *m, struct erofs_entry *e, struct lower *lower, struct error *err)
{
	char target[PATH_ROOM];
	struct erofs_image *image;
	struct image_path p;
	struct erofs_stat st;
	ssize_t n = erofs_entry_path(e, p.text, sizeof(p.text));
	int r;

	if (n < 0)
		return error_set(err, ENAMETOOLONG, "a path that is too long");
	p.len = (size_t)n;
	r = lower_find(lower, p.text, p.len, &st, &image, err);
	if (r)
		return r < 0 ? r : 0;
	if (S_ISDIR(st.mode))
		return inherit(m, erofs_entry_node(e), image, &st, err);
	if (!S_ISLNK(st.mode))
		return 0;
	r = lower_target(image, &st, target, sizeof(target), err);
	if (!r)
		r = move_through(m, &p, target, err);
	return r ? r : 1;
}

int merge_parents(struct merge *m, struct lower *lower, struct error *err)
{
	struct erofs_entry *e = NULL;
	int moves = 0;

	while ((e = erofs_tree_walk(m->tree, e))) {
		int r;

		if (!erofs_node_implicit(erofs_entry_node(e)))
			continue;
		r = settle(m, e, lower, err);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		if (++moves > MOVES_MAX)
			return error_set_kind(err, ERROR_INPUT, ELOOP,
			                      "too many directories of the layer are symbolic "
			                      "links below it");
		e = NULL;
	}
	return 0;
}

int merge_root(struct merge *m, struct lower *lower, struct error *err)
{
	struct erofs_image *image;
	struct erofs_stat st;
	int r = lower_find(lower, "", 0, &st, &image, err);

	if (r)
		return r < 0 ? r : 0;
	return inherit(m, erofs_tree_root(m->tree), image, &st, err);
}

int merge_marks(struct merge *m, bool *needs_lower, struct error *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < m->opaque.n; i++)
		r = apply_opaque(m, m->opaque.v[i], err);
	for (size_t i = 0; !r && i < m->whiteouts.n; i++)
		r = apply_whiteout(m, m->whiteouts.v[i], err);
	*needs_lower = false;
	for (struct erofs_entry *e = NULL; !r && (e = erofs_tree_walk(m->tree, e));)
		*needs_lower |= erofs_node_implicit(erofs_entry_node(e));
	return r;
}
