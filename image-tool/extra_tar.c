/* SPDX-License-Identifier: Apache-2.0 */
/* extra_tar: bytes, unpacked, as members of an archive, as entries of a tree. */
#include "image-tool/extra_tar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image-tool/report.h"
#include "image-tool/tool.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/image/hash.h"
#include "lib/image/inflate.h"
#include "lib/image/path.h"
#include "lib/image/tar.h"

/* A file's content in the spool. */
struct content {
	struct erofs_node *node;
	uint64_t at, size;
};

struct reading {
	struct erofs_tree *tree;
	struct erofs_tree *seen; /* what the archive had so far; owned */
	struct tar *tar;
	int64_t mtime;
	int spool;
	uint64_t at;             /* bytes in the spool */
	struct buffer contents;  /* struct content */
	struct erofs_node *node; /* the file being filled, else NULL */
	uint64_t begun;          /* its place in the spool */
};

static const uint32_t types[] = {
    [TAR_FILE] = S_IFREG,         [TAR_SYMLINK] = S_IFLNK, [TAR_CHAR] = S_IFCHR,
    [TAR_BLOCK_DEVICE] = S_IFBLK, [TAR_DIR] = S_IFDIR,     [TAR_FIFO] = S_IFIFO,
    [TAR_HARDLINK] = 0,
};

static int refuse(struct error *err, int errnum, const char *path, const char *why)
{
	_cleanup_buffer_ struct buffer quoted = BUFFER_INIT;

	report_quote(&quoted, path);
	return error_set_kind(err, ERROR_INPUT, errnum, "\"%.200s\" %s", buffer_cstr(&quoted), why);
}

static bool leaves_root(const char *path)
{
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.')
			return true;
		p += n + (p[n] == '/');
	}
	return false;
}

/* Names as they may be, each once; directories may come again. */
static int check_path(struct reading *in, const struct tar_entry *e, struct error *err)
{
	const struct erofs_attr attr = {.mode = e->type == TAR_DIR ? S_IFDIR : S_IFREG};
	size_t len = strlen(e->path);
	struct erofs_node *before;
	struct erofs_attr old;

	if (strchr(e->path, '\n') || (e->type == TAR_HARDLINK && strchr(e->link, '\n')))
		return refuse(err, EINVAL, e->path, "has a newline in it; rename the file");
	if (leaves_root(e->path))
		return refuse(err, EINVAL, e->path, "leaves the root: \"..\" is refused");
	before = erofs_tree_find(in->seen, e->path, len);
	if (before && !erofs_node_implicit(before)) {
		erofs_node_attr(before, &old);
		if (!S_ISDIR(old.mode) || e->type != TAR_DIR)
			return refuse(err, EEXIST, e->path, "is in the archive twice");
		return 0;
	}
	if (before && e->type != TAR_DIR)
		return refuse(err, EEXIST, e->path,
		              "is in the archive as a folder and as something else");
	return erofs_tree_add(in->seen, e->path, len, &attr, NULL, err);
}

static int add_hardlink(struct reading *in, const struct image_path *p, const struct tar_entry *e,
                        struct error *err)
{
	struct image_path target;
	struct erofs_node *node;
	int r = image_path_set(&target, e->link, err);

	if (r < 0)
		return r;
	node = erofs_tree_find(in->tree, target.text, target.len);
	if (!node || strcmp(target.text, p->text) == 0 ||
	    !erofs_tree_find(in->seen, target.text, target.len))
		return refuse(err, ENOENT, e->path,
		              "is a hard link to what the archive does not hold before it");
	return erofs_tree_link_node(in->tree, p->text, p->len, node, err);
}

static int add_member(struct reading *in, const struct image_path *p, const struct tar_entry *e,
                      struct error *err)
{
	const struct erofs_attr attr = {
	    .mode = types[e->type] | (e->mode & 07777),
	    .uid = e->uid,
	    .gid = e->gid,
	    .rdev_major = e->major,
	    .rdev_minor = e->minor,
	    .mtime = in->mtime,
	};

	in->node = NULL;
	if (e->type == TAR_HARDLINK)
		return add_hardlink(in, p, e, err);
	if (e->type == TAR_SYMLINK)
		return erofs_tree_add_symlink(in->tree, p->text, p->len, &attr, e->link,
		                              strlen(e->link), &in->node, err);
	return erofs_tree_add(in->tree, p->text, p->len, &attr, &in->node, err);
}

static int add_xattrs(struct reading *in, const struct tar_entry *e, struct error *err)
{
	int r = 0;

	for (size_t i = 0; in->node && r == 0 && i < e->n_xattrs; i++) {
		const struct tar_xattr *x = &e->xattrs[i];
		const struct erofs_xattr xattr = {x->name, x->value, x->size};

		r = erofs_node_add_xattr(in->tree, in->node, &xattr, err);
		/* Name spaces that EROFS lacks are some other system's affair. */
		if (r == -EOPNOTSUPP)
			r = 0;
	}
	return r;
}

static int on_entry(void *data, const struct tar_entry *e, struct error *err)
{
	struct reading *in = data;
	struct image_path p;
	int r = tool_interrupted() ? error_set(err, EINTR, "interrupted") : 0;

	if (r == 0)
		r = check_path(in, e, err);
	if (r == 0)
		r = image_path_set(&p, e->path, err);
	if (r == 0 && p.len == 0 && e->type != TAR_DIR)
		r = refuse(err, EINVAL, e->path, "stands for the root and is no folder");
	/* "/" stays as it is. */
	if (r < 0 || p.len == 0) {
		in->node = NULL;
		return r;
	}
	/* Parents that are symbolic links of the root (/bin) are followed inside it. */
	r = image_path_resolve(in->tree, &p, err);
	if (r == 0)
		r = add_member(in, &p, e, err);
	if (r == 0)
		r = add_xattrs(in, e, err);
	in->begun = in->at;
	return r;
}

static int on_content(void *data, const uint8_t *p, uint64_t n, struct error *err)
{
	struct reading *in = data;
	int r = 0;

	/* A hole of the spool is a hole of the file. */
	if (p)
		r = fs_pwrite_all(in->spool, p, n, in->at);
	if (r < 0) {
		error_errno(err, -r, "cannot keep the content of the archive");
		if (err)
			err->kind = ERROR_ENVIRONMENT;
	}
	in->at += n;
	return r;
}

static int on_end(void *data, struct error *err)
{
	struct reading *in = data;
	const struct content c = {in->node, in->begun, in->at - in->begun};

	if (in->node && c.size > 0)
		buffer_append(&in->contents, &c, sizeof(c));
	in->node = NULL;
	return in->contents.failed ? error_set(err, ENOMEM, "no memory to read the archive") : 0;
}

static int to_tar(void *data, const uint8_t *p, size_t n, struct error *err)
{
	struct reading *in = data;

	return tar_feed(in->tar, p, n, err);
}

static enum image_compression packed_how(const uint8_t *p, size_t n)
{
	if (n >= 2 && p[0] == 0x1f && p[1] == 0x8b)
		return IMAGE_GZIP;
	if (n >= 4 && get_le32(p) == 0xfd2fb528)
		return IMAGE_ZSTD;
	return IMAGE_PLAIN;
}

/* All of fd through hash, unpacker and reader. */
static int pump(struct reading *in, int fd, struct hash *hash, struct error *err)
{
	_cleanup_inflate_ struct inflate *inflate = NULL;
	_cleanup_free_ uint8_t *buf = malloc(65536);
	int r = buf ? 0 : error_set(err, ENOMEM, "no memory to read the archive");

	while (r == 0) {
		ssize_t n = read(fd, buf, 65536);

		if (n < 0 && errno == EINTR && !tool_interrupted())
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot read the archive");
		if (n == 0)
			break;
		if (!inflate)
			r = inflate_new(packed_how(buf, (size_t)n), to_tar, in, &inflate, err);
		if (r == 0)
			r = hash_update(hash, buf, (size_t)n, err);
		if (r == 0)
			r = inflate_feed(inflate, buf, (size_t)n, err);
	}
	if (r == 0 && !inflate)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "the archive is empty");
	if (r == 0)
		r = inflate_end(inflate, err);
	return r < 0 ? r : tar_end(in->tar, err);
}

/* Files get their content where it is mapped. */
static int point(struct reading *in, void **map, size_t *map_size, struct error *err)
{
	size_t n = in->contents.size / sizeof(struct content);
	const struct content *c = (const struct content *)(const void *)in->contents.data;
	int r = 0;

	if (in->at == 0)
		return 0;
	if (ftruncate(in->spool, (off_t)in->at) < 0)
		return error_errno(err, errno, "cannot keep the content of the archive");
	*map = mmap(NULL, in->at, PROT_READ, MAP_SHARED, in->spool, 0);
	if (*map == MAP_FAILED) {
		*map = NULL;
		return error_errno(err, errno, "cannot map the content of the archive");
	}
	*map_size = in->at;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = erofs_node_set_memory(in->tree, c[i].node, (const uint8_t *)*map + c[i].at,
		                          c[i].size, err);
	return r;
}

int extra_tar_add(struct erofs_tree *tree, int fd, int spool, int64_t mtime, void **map,
                  size_t *map_size, char sha256[65], struct error *err)
{
	static const struct tar_sink sink = {on_entry, on_content, on_end};
	static const struct tar_limits limits = TAR_LIMITS_DEFAULT;
	struct reading in = {.tree = tree, .mtime = mtime, .spool = spool};
	_cleanup_hash_ struct hash *hash = NULL;
	struct digest digest;
	int r = erofs_tree_new(&in.seen, NULL, err);

	if (r == 0)
		r = tar_new(&sink, &in, &limits, &in.tar, err);
	if (r == 0)
		r = hash_new(DIGEST_SHA256, &hash, err);
	if (r == 0)
		r = pump(&in, fd, hash, err);
	if (r == 0)
		r = point(&in, map, map_size, err);
	if (r == 0)
		r = hash_final(hash, &digest, err);
	if (r == 0)
		snprintf(sha256, 65, "%.64s", digest.text + strlen("sha256:"));
	tar_free(in.tar);
	erofs_tree_free(in.seen);
	buffer_free(&in.contents);
	return r;
}
