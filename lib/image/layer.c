/* SPDX-License-Identifier: Apache-2.0 */
/* layer: members of an archive become entries of a tree. */
#include "lib/image/layer.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/str.h"
#include "lib/erofs/tree.h"
#include "lib/erofs/writer.h"
#include "lib/image/crosslink.h"
#include "lib/image/dedupe.h"
#include "lib/image/merge.h"
#include "lib/image/path.h"

#define ENTRY_BYTES    256 /* what lib/erofs promises for an entry */
#define TREE_BYTES_MIN (16u << 20)

struct layer {
	struct merge merge;
	struct crosslinks crosslinks;
	struct erofs_writer *writer;
	struct dedupe *dedupe;   /* NULL: every file has blocks of its own */
	struct erofs_node *node; /* the file being filled, else NULL */
	bool bottom, whole_root;
};

int layer_new_with(int out_fd, const struct layer_options *o, struct layer **out, struct error *err)
{
	_cleanup_layer_ struct layer *l = calloc(1, sizeof(*l));
	struct erofs_write_opts write = o->write;
	int r;

	if (!l)
		return error_set(err, ENOMEM, "out of memory");
	if (o->dedupe)
		write.flags |= EROFS_WRITE_SHARED;
	l->bottom = o->bottom;
	l->whole_root = o->whole_root;
	r = erofs_tree_new(&l->merge.tree, NULL, err);
	if (!r)
		r = erofs_writer_begin(&l->writer, out_fd, &write, err);
	if (!r && o->dedupe)
		r = dedupe_new(l->writer, &l->dedupe, err);
	if (r)
		return r;
	erofs_tree_set_limit(l->merge.tree, o->limits.max_entries * ENTRY_BYTES + TREE_BYTES_MIN);
	*out = steal_ptr(&l);
	return 0;
}

int layer_new(int out_fd, const struct tar_limits *limits, struct layer **out, struct error *err)
{
	const struct layer_options o = {.write = EROFS_WRITE_OPTS_LAYER, .limits = *limits};

	return layer_new_with(out_fd, &o, out, err);
}

void layer_free(struct layer *l)
{
	if (!l)
		return;
	erofs_writer_free(l->writer);
	merge_clear(&l->merge);
	crosslinks_clear(&l->crosslinks);
	dedupe_free(l->dedupe);
	free(l);
}

int layer_settle(struct layer *l, bool *needs_lower, struct error *err)
{
	static const struct erofs_xattr unsaid = {LAYER_ROOT_UNSAID, "y", 1};
	struct erofs_node *root = erofs_tree_root(l->merge.tree);
	int r;

	if (l->bottom) {
		strv_free(&l->merge.whiteouts);
		strv_free(&l->merge.opaque);
	}
	r = merge_marks(&l->merge, needs_lower, err);
	*needs_lower |= l->crosslinks.n > 0 || (l->whole_root && erofs_node_implicit(root));
	*needs_lower &= !l->bottom;
	if (r == 0 && !l->whole_root && erofs_node_implicit(root))
		r = erofs_node_add_xattr(l->merge.tree, root, &unsaid, err);
	return r;
}

int layer_finish(struct layer *l, struct lower *lower, struct error *err)
{
	int r = crosslinks_settle(&l->crosslinks, l->merge.tree, l->writer, lower, err);

	if (r == 0 && lower)
		r = merge_parents(&l->merge, lower, err);
	if (r == 0 && lower && l->whole_root && erofs_node_implicit(erofs_tree_root(l->merge.tree)))
		r = merge_root(&l->merge, lower, err);
	return r ? r : erofs_writer_finish(l->writer, l->merge.tree, NULL, err);
}

/* ---- whiteouts */

#define WHITEOUT ".wh."
#define OPAQUE   ".wh..wh..opq"

/* 1: not a whiteout; 0: it was one and is remembered. */
static int take_whiteout(struct layer *l, struct image_path *p, struct error *err)
{
	const char *name = image_path_name(p), *hidden;
	int r;

	if (!str_starts(name, WHITEOUT))
		return 1;
	if (!strcmp(name, OPAQUE)) {
		image_path_up(p);
		r = strv_add(&l->merge.opaque, p->text);
	} else if (str_starts(name, WHITEOUT WHITEOUT)) {
		return 0; /* what aufs keeps for itself */
	} else {
		hidden = name + strlen(WHITEOUT);
		if (!*hidden || !strcmp(hidden, ".") || !strcmp(hidden, ".."))
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "\"%.100s\" is no whiteout that means anything",
			                      p->text);
		hidden = strdupa(hidden);
		image_path_up(p);
		r = image_path_add(p, hidden, err);
		if (r)
			return r;
		r = strv_add(&l->merge.whiteouts, p->text);
	}
	return r ? error_set(err, ENOMEM, "out of memory") : 0;
}

/* ---- entries */

static const uint32_t modes[] = {
    [TAR_FILE] = S_IFREG,         [TAR_SYMLINK] = S_IFLNK, [TAR_CHAR] = S_IFCHR,
    [TAR_BLOCK_DEVICE] = S_IFBLK, [TAR_DIR] = S_IFDIR,     [TAR_FIFO] = S_IFIFO,
    [TAR_HARDLINK] = 0,
};

/* What an image may carry: not overlayfs's own marks, which would act in the mount, and
 * only namespaces that Linux has. */
static bool keep_xattr(const char *name)
{
	static const char *const kept[] = {"user.", "trusted.", "security.",
	                                   "system.posix_acl_access", "system.posix_acl_default"};

	if (str_starts(name, "trusted.overlay.") || str_starts(name, "user.overlay."))
		return false;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (str_starts(name, kept[i]))
			return true;
	return false;
}

static int set_xattrs(struct layer *l, struct erofs_node *node, const struct tar_entry *e,
                      struct error *err)
{
	struct erofs_xattr list[TAR_XATTR_MAX];
	size_t n = 0;

	for (size_t i = 0; i < e->n_xattrs; i++)
		if (keep_xattr(e->xattrs[i].name))
			list[n++] = (struct erofs_xattr){e->xattrs[i].name, e->xattrs[i].value,
			                                 e->xattrs[i].size};
	return n ? erofs_node_set_xattrs(l->merge.tree, node, list, n, err) : 0;
}

static int add_hardlink(struct layer *l, const struct image_path *p, const struct tar_entry *e,
                        struct erofs_node **out, struct error *err)
{
	struct image_path target;
	int r = image_path_set(&target, e->link, err);

	if (!r)
		r = image_path_resolve(l->merge.tree, &target, err);
	if (r)
		return r;
	*out = erofs_tree_find(l->merge.tree, target.text, target.len);
	if (!*out)
		return crosslinks_add(&l->crosslinks, l->merge.tree, p, &target, out, err);
	return erofs_tree_link_node(l->merge.tree, p->text, p->len, *out, err);
}

static int add_entry(struct layer *l, const struct image_path *p, const struct tar_entry *e,
                     const struct erofs_attr *attr, struct erofs_node **out, struct error *err)
{
	struct erofs_tree *tree = l->merge.tree;

	if (e->type == TAR_HARDLINK)
		return add_hardlink(l, p, e, out, err);
	if (e->type == TAR_SYMLINK)
		return erofs_tree_add_symlink(tree, p->text, p->len, attr, e->link, strlen(e->link),
		                              out, err);
	return erofs_tree_add(tree, p->text, p->len, attr, out, err);
}

static int place(struct layer *l, struct image_path *p, const struct tar_entry *e,
                 struct erofs_node **node, struct error *err)
{
	struct erofs_attr attr = {
	    .mode = modes[e->type] | e->mode,
	    .uid = e->uid,
	    .gid = e->gid,
	    .rdev_major = e->major,
	    .rdev_minor = e->minor,
	    .mtime = e->mtime,
	    .mtime_ns = e->mtime_ns,
	};
	int r;

	if (!p->len && e->type != TAR_DIR)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the root of the layer is not a directory");
	r = add_entry(l, p, e, &attr, node, NULL);
	if (r == -ENOTDIR) {
		/* A parent that is a symbolic link of this layer is followed inside it. */
		int unresolved = image_path_resolve(l->merge.tree, p, err);

		if (unresolved)
			return unresolved;
	}
	if (r)
		r = add_entry(l, p, e, &attr, node, err);
	if (r)
		return r;
	if (e->type == TAR_HARDLINK) {
		struct erofs_attr old;

		erofs_node_attr(*node, &old);
		attr.mode |= old.mode & S_IFMT;
		attr.rdev_major = old.rdev_major;
		attr.rdev_minor = old.rdev_minor;
		erofs_node_set_attr(*node, &attr);
	}
	return set_xattrs(l, *node, e, err);
}

static int on_entry(void *data, const struct tar_entry *e, struct error *err)
{
	struct layer *l = data;
	struct erofs_node *node;
	struct image_path p;
	int r = image_path_set(&p, e->path, err);

	l->node = NULL;
	if (!r)
		r = take_whiteout(l, &p, err);
	if (r == 0)
		return 0;
	if (r == 1)
		r = place(l, &p, e, &node, err);
	if (r)
		return error_prefix(err, r, "\"%.100s\"", e->path);
	if (e->type != TAR_FILE || !e->size)
		return 0;
	r = l->dedupe ? dedupe_begin(l->dedupe, e->size, err)
	              : erofs_writer_data_start(l->writer, e->size, err);
	if (r)
		return r;
	l->node = node;
	return 0;
}

static int on_content(void *data, const uint8_t *p, uint64_t n, struct error *err)
{
	struct layer *l = data;

	if (!l->node)
		return 0;
	if (l->dedupe)
		return dedupe_feed(l->dedupe, p, n, err);
	return p ? erofs_writer_data(l->writer, p, (size_t)n, err)
	         : erofs_writer_data_zeros(l->writer, n, err);
}

static int on_end(void *data, struct error *err)
{
	struct layer *l = data;
	struct erofs_extent extent;
	int r;

	if (!l->node)
		return 0;
	if (l->dedupe)
		return dedupe_end(l->dedupe, l->merge.tree, steal_ptr(&l->node), err);
	r = erofs_writer_data_end(l->writer, &extent, err);
	if (!r)
		r = erofs_node_set_extent(l->merge.tree, l->node, &extent, err);
	l->node = NULL;
	return r;
}

const struct tar_sink layer_sink = {on_entry, on_content, on_end};
