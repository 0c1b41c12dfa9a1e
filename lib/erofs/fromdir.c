/* SPDX-License-Identifier: Apache-2.0 */
/* fromdir: walks a folder of the host, one directory at a time. */
#include "lib/erofs/fromdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "lib/base/bytes.h"
#include "lib/erofs/format.h"
#include "lib/erofs/node.h"
#include "lib/erofs/source.h"

/* A directory that is in the tree but whose entries are not. */
struct pending {
	struct pending *next;
	struct erofs_node *node;
	const struct source *source;
	size_t path_len;
	char path[]; /* below the folder, with a slash at the end unless empty */
};

struct walker {
	struct erofs_tree *tree;
	const struct erofs_fromdir_opts *opts;
	struct copier copier; /* opens directories */
	struct pending *todo;
	struct buffer path;        /* of the entry at hand */
	struct buffer list, value; /* xattr names and a value */
	/* Files of several names: (device, inode) to an index in `linked`. */
	struct arena arena;
	struct intern links;
	struct buffer linked; /* struct erofs_node * */
};

static void walker_done(struct walker *w)
{
	while (w->todo) {
		struct pending *next = w->todo->next;

		free(w->todo);
		w->todo = next;
	}
	copier_done(&w->copier);
	buffer_free(&w->path);
	buffer_free(&w->list);
	buffer_free(&w->value);
	buffer_free(&w->linked);
	intern_free(&w->links);
	arena_free(&w->arena);
}

static int failed(const struct source *dir, const char *name, const char *what, int errnum,
                  struct error *err)
{
	char q[EROFS_QUOTE_MAX], qn[EROFS_QUOTE_MAX];

	source_path(dir, q, sizeof(q));
	erofs_quote(qn, sizeof(qn), name, strlen(name));
	return error_errno(err, errnum, "cannot %s %s%s%s", what, q, *name ? "/" : "", qn);
}

static void fill_attr(const struct walker *w, const struct stat *st, struct erofs_attr *a)
{
	const struct erofs_fromdir_opts *o = w->opts;

	*a = (struct erofs_attr){
	    .mode = st->st_mode,
	    .uid = o->all_root ? 0 : st->st_uid,
	    .gid = o->all_root ? 0 : st->st_gid,
	    .mtime = st->st_mtim.tv_sec,
	    .mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
	};
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		a->rdev_major = major(st->st_rdev);
		a->rdev_minor = minor(st->st_rdev);
	}
	if (o->set_mtime && (!o->clamp_mtime || a->mtime >= o->mtime)) {
		a->mtime = o->mtime;
		a->mtime_ns = 0;
	}
}

/* ---------------------------------------------------------------- xattrs */

/* The value of xattr `name` of `path`, or the names of all for NULL, with a buffer that
 * grows until it fits: the size or a negative errno. */
static ssize_t get_xattr(const char *path, const char *name, struct buffer *b)
{
	for (;;) {
		ssize_t n;

		buffer_clear(b);
		/* A size of 0 would ask how much there is. */
		if (!b->room && !buffer_reserve(b, 1024))
			return -ENOMEM;
		n = name ? lgetxattr(path, name, b->data, b->room)
		         : llistxattr(path, (char *)b->data, b->room);
		if (n >= 0 || errno != ERANGE)
			return n < 0 ? -errno : n;
		if (!buffer_reserve(b, b->room * 2))
			return -ENOMEM;
	}
}

/* There is no listxattrat() before Linux 6.13: the way by /proc names the very directory
 * that is open, however its path may change. */
static int copy_xattrs(struct walker *w, int dirfd, const struct source *dir, const char *name,
                       struct erofs_node *node, struct error *err)
{
	char path[64 + EROFS_NAME_MAX];
	ssize_t size;
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd, *name ? name : ".");
	size = get_xattr(path, NULL, &w->list);
	if (size == -EOPNOTSUPP)
		return 0;
	if (size < 0)
		return failed(dir, name, "list the extended attributes of", (int)-size, err);
	for (const char *x = (const char *)w->list.data; size > 0;) {
		size_t len = strlen(x) + 1;
		ssize_t n = get_xattr(path, x, &w->value);
		struct erofs_xattr xattr = {x, w->value.data, n < 0 ? 0 : (size_t)n};

		if (n < 0 && n != -ENODATA)
			return failed(dir, name, "read an extended attribute of", (int)-n, err);
		/* Name spaces that EROFS lacks are the host file system's own affair. */
		r = n < 0 ? 0 : erofs_node_add_xattr(w->tree, node, &xattr, err);
		if (r < 0 && r != -EOPNOTSUPP)
			return r;
		x += len;
		size -= (ssize_t)len;
	}
	return 0;
}

/* ---------------------------------------------------------------- entries */

/* 1 when this file has been seen under another name: *node is set. 0 and where to note
 * the node otherwise. */
static int find_linked(struct walker *w, const struct stat *st, struct interned **slot,
                       struct erofs_node **node, struct error *err)
{
	uint64_t id[2] = {st->st_dev, st->st_ino};

	*slot = NULL;
	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return 0;
	*slot = intern_get(&w->links, &w->arena, &w->tree->key, id, sizeof(id));
	if (!*slot)
		return tree_no_memory(w->tree, err);
	if (!(*slot)->place)
		return 0;
	memcpy(node, w->linked.data + ((*slot)->place - 1) * sizeof(*node), sizeof(*node));
	return 1;
}

static int note_linked(struct walker *w, struct interned *slot, struct erofs_node *node,
                       struct error *err)
{
	if (!slot)
		return 0;
	buffer_append(&w->linked, &node, sizeof(node));
	if (w->linked.failed)
		return tree_no_memory(w->tree, err);
	slot->place = (uint32_t)(w->linked.size / sizeof(node));
	return 0;
}

static int push(struct walker *w, struct erofs_node *node, const struct source *dir,
                const char *name, struct error *err)
{
	struct pending *p = malloc(sizeof(*p) + w->path.size + 2);
	const struct source *source = tree_new_source(w->tree, dir, name);

	if (!p || !source) {
		free(p);
		return tree_no_memory(w->tree, err);
	}
	p->next = w->todo;
	p->node = node;
	p->source = source;
	p->path_len = w->path.size;
	if (p->path_len) {
		memcpy(p->path, w->path.data, p->path_len);
		p->path[p->path_len++] = '/';
	}
	w->todo = p;
	return 0;
}

static int set_content(struct walker *w, int dirfd, const struct source *dir, const char *name,
                       struct erofs_node *node, const struct stat *st, struct error *err)
{
	char target[EROFS_SYMLINK_MAX + 1];
	ssize_t n;

	switch (st->st_mode & S_IFMT) {
	case S_IFDIR:
		return push(w, node, dir, name, err);
	case S_IFREG:
		return tree_set_source(w->tree, node, tree_new_source(w->tree, dir, name),
		                       (uint64_t)st->st_size, err);
	case S_IFLNK:
		n = readlinkat(dirfd, name, target, sizeof(target));
		if (n <= 0 || n > EROFS_SYMLINK_MAX)
			return failed(dir, name, "read the symbolic link",
			              n < 0 ? errno : ENAMETOOLONG, err);
		return tree_set_target(w->tree, node, target, (size_t)n, err);
	default:
		return 0;
	}
}

static int add_entry(struct walker *w, int dirfd, const struct pending *in, const char *name,
                     struct error *err)
{
	size_t len = strlen(name);
	struct erofs_node *node;
	struct erofs_attr attr;
	struct interned *slot;
	struct stat st;
	int r;

	buffer_clear(&w->path);
	buffer_append(&w->path, in->path, in->path_len);
	buffer_append(&w->path, name, len);
	if (w->path.failed)
		return tree_no_memory(w->tree, err);
	if (w->path.size > EROFS_PATH_MAX)
		return failed(in->source, name, "add", ENAMETOOLONG, err);
	if (w->opts->exclude &&
	    w->opts->exclude(buffer_cstr(&w->path), w->path.size, w->opts->exclude_data))
		return 0;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(in->source, name, "look at", errno, err);
	if (S_ISSOCK(st.st_mode) && w->opts->skip_sockets)
		return 0;
	r = find_linked(w, &st, &slot, &node, err);
	if (r > 0)
		return tree_link_at(w->tree, in->node, name, len, node, err);
	if (r < 0)
		return r;
	fill_attr(w, &st, &attr);
	r = tree_add_at(w->tree, in->node, name, len, &attr, &node, err);
	if (r < 0)
		return error_prefix(err, r, "\"%s\"", buffer_cstr(&w->path));
	r = set_content(w, dirfd, in->source, name, node, &st, err);
	if (r == 0 && !w->opts->no_xattrs)
		r = copy_xattrs(w, dirfd, in->source, name, node, err);
	return r < 0 ? r : note_linked(w, slot, node, err);
}

static int add_directory(struct walker *w, const struct pending *in, struct error *err)
{
	_cleanup_closedir_ DIR *d = NULL;
	_cleanup_close_ int fd = -1;
	int r = copier_enter(&w->copier, in->source, err);

	if (r < 0)
		return r;
	fd = openat(r, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return failed(in->source, "", "read", errno, err);
	d = fdopendir(fd);
	if (!d)
		return failed(in->source, "", "read", errno, err);
	r = steal_fd(&fd);
	for (int dir = r;;) {
		struct dirent *e;

		errno = 0;
		e = readdir(d);
		if (!e)
			return errno ? failed(in->source, "", "read", errno, err) : 0;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		r = add_entry(w, dir, in, e->d_name, err);
		if (r < 0)
			return r;
	}
}

static int add_root(struct walker *w, const char *path, struct error *err)
{
	struct erofs_node *root = erofs_tree_root(w->tree);
	struct erofs_attr attr;
	struct stat st;
	int fd, r;

	r = push(w, root, NULL, path, err);
	if (r < 0)
		return r;
	fd = copier_enter(&w->copier, w->todo->source, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return failed(w->todo->source, "", "look at", errno, err);
	fill_attr(w, &st, &attr);
	r = tree_add_at(w->tree, root, "", 0, &attr, &root, err);
	if (r == 0 && !w->opts->no_xattrs)
		r = copy_xattrs(w, fd, w->todo->source, "", root, err);
	return r;
}

int erofs_tree_from_dir(struct erofs_tree *tree, const char *path,
                        const struct erofs_fromdir_opts *opts, struct error *err)
{
	struct walker w = {.tree = tree, .opts = opts};
	int r;

	copier_init(&w.copier, NULL);
	r = add_root(&w, path, err);
	while (r == 0 && w.todo) {
		struct pending *p = w.todo;

		w.todo = p->next;
		r = add_directory(&w, p, err);
		free(p);
	}
	walker_done(&w);
	return r;
}
