/* SPDX-License-Identifier: Apache-2.0 */
/* crosslink: see the header. */
#include "lib/image/crosslink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/image/merge.h"

#define LINKS_MAX 40 /* symbolic links on the way to a target, as Linux has it */

struct crosslink {
	char *path, *target; /* owned */
	struct erofs_node *node;
	/* once settled: whose content it has */
	const struct erofs_image *image;
	uint64_t nid;
	struct erofs_extent extent;
};

void crosslinks_clear(struct crosslinks *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->list[i].path);
		free(c->list[i].target);
	}
	free(c->list);
	*c = (struct crosslinks){0};
}

static int remember(struct crosslinks *c, const char *path, const char *target,
                    struct erofs_node *node)
{
	struct crosslink link = {.path = strdup(path), .target = strdup(target), .node = node};

	if (c->n == c->room) {
		size_t room = c->room ? c->room * 2 : 16;
		struct crosslink *list = reallocarray(c->list, room, sizeof(*list));

		if (list) {
			c->list = list;
			c->room = room;
		}
	}
	if (!link.path || !link.target || c->n == c->room) {
		free(link.path);
		free(link.target);
		return -ENOMEM;
	}
	c->list[c->n++] = link;
	return 0;
}

int crosslinks_add(struct crosslinks *c, struct erofs_tree *tree, const struct image_path *path,
                   const struct image_path *target, struct erofs_node **out, struct error *err)
{
	static const struct erofs_attr file = {.mode = S_IFREG};
	int r;

	if (c->n == CROSSLINK_MAX)
		return error_set_kind(err, ERROR_INPUT, E2BIG,
		                      "more than %d hard links to files of the layers below",
		                      CROSSLINK_MAX);
	r = erofs_tree_add(tree, path->text, path->len, &file, out, err);
	if (r)
		return r;
	return remember(c, path->text, target->text, *out) ? error_set(err, ENOMEM, "out of memory")
	                                                   : 0;
}

/* `path` with its symbolic link, which ends at `at`, replaced by what that points to. */
static int follow(struct image_path *path, size_t at, const char *target, struct error *err)
{
	char rest[PATH_ROOM];
	int r;

	strcpy(rest, path->text + at + 1);
	path->text[path->len = at] = '\0';
	image_path_up(path);
	if (target[0] == '/')
		path->text[path->len = 0] = '\0';
	r = image_path_add(path, target, err);
	return r ? r : image_path_add(path, rest, err);
}

/* The end of the component that begins at `at`. */
static size_t component_end(const struct image_path *path, size_t at)
{
	return at + strcspn(path->text + at, "/");
}

/* What `path` names below, following symbolic links in all components but the last. As
 * lower_find(). */
static int find_target(struct lower *lower, struct image_path *path, struct erofs_stat *st,
                       struct erofs_image **image, struct error *err)
{
	char target[PATH_ROOM];
	size_t at = component_end(path, 0);

	for (int links = 0;;) {
		int r = lower_find(lower, path->text, at, st, image, err);

		if (r || at == path->len)
			return r;
		if (!S_ISLNK(st->mode)) {
			at = component_end(path, at + 1);
			continue;
		}
		if (++links > LINKS_MAX)
			return error_set_kind(err, ERROR_INPUT, ELOOP, "too many symbolic links");
		r = lower_target(*image, st, target, sizeof(target), err);
		r = r ? r : follow(path, at, target, err);
		if (r)
			return r;
		at = component_end(path, 0);
	}
}

static int copy(struct erofs_writer *writer, struct erofs_image *image, const struct erofs_stat *st,
                struct erofs_extent *extent, struct error *err)
{
	uint8_t chunk[32768];
	int r = erofs_writer_data_start(writer, st->size, err);

	for (uint64_t at = 0; !r && at < st->size;) {
		ssize_t n = erofs_pread(image, st, chunk, sizeof(chunk), at, err);

		if (n <= 0)
			return n < 0 ? (int)n : error_set(err, EIO, "the file below ends early");
		r = erofs_writer_data(writer, chunk, (size_t)n, err);
		at += (uint64_t)n;
	}
	return r ? r : erofs_writer_data_end(writer, extent, err);
}

/* The extent of an earlier link to the same file, so that no archive multiplies content. */
static const struct crosslink *same_file(const struct crosslinks *c, size_t n,
                                         const struct erofs_image *image, uint64_t nid)
{
	for (size_t i = 0; i < n; i++)
		if (c->list[i].image == image && c->list[i].nid == nid)
			return &c->list[i];
	return NULL;
}

static int settle(struct crosslinks *c, size_t i, struct erofs_tree *tree,
                  struct erofs_writer *writer, struct lower *lower, struct error *err)
{
	struct crosslink *link = &c->list[i];
	struct erofs_image *image;
	const struct crosslink *same;
	struct image_path target;
	struct erofs_stat st;
	int r = image_path_set(&target, link->target, err);

	if (!r)
		r = lower ? find_target(lower, &target, &st, &image, err) : 1;
	if (r == 1)
		return error_set_kind(
		    err, ERROR_INPUT, ENOENT,
		    "a hard link to \"%.100s\", which neither the layer nor those "
		    "below it hold",
		    link->target);
	if (r)
		return r;
	if (!S_ISREG(st.mode))
		return error_set_kind(err, ERROR_INPUT, EPERM,
		                      "a hard link to \"%.100s\" of a layer below, which is no "
		                      "regular file",
		                      link->target);
	/* An inode's xattrs are its links'; archives carry them with the first only. */
	if (erofs_node_xattr_count(link->node) == 0)
		r = merge_copy_xattrs(tree, link->node, image, &st, err);
	if (r || st.size == 0)
		return r;
	same = same_file(c, i, image, st.nid);
	if (same) {
		link->extent = same->extent;
		erofs_writer_share(writer);
	} else {
		r = copy(writer, image, &st, &link->extent, err);
	}
	link->image = image;
	link->nid = st.nid;
	return r ? r : erofs_node_set_extent(tree, link->node, &link->extent, err);
}

int crosslinks_settle(struct crosslinks *c, struct erofs_tree *tree, struct erofs_writer *writer,
                      struct lower *lower, struct error *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < c->n; i++) {
		const struct crosslink *link = &c->list[i];

		/* What a later member replaced needs none. */
		if (erofs_tree_find(tree, link->path, strlen(link->path)) != link->node)
			continue;
		r = settle(c, i, tree, writer, lower, err);
		if (r)
			error_prefix(err, r, "\"%.100s\"", link->path);
	}
	return r;
}
