/* SPDX-License-Identifier: Apache-2.0 */
/* extra: folders and archives over the root. */
#include "image-tool/extra.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image-tool/extra_tar.h"
#include "image-tool/report.h"
#include "image-tool/tool.h"
#include "lib/erofs/fromdir.h"
#include "lib/erofs/links.h"
#include "lib/image/hash.h"

#define SCRATCH "extra.tmp"
#define PIECE   (256u << 10)

/* The first name with a newline. */
struct name_check {
	struct buffer found; /* owned; quoted */
};

static bool check_name(const char *path, size_t len, void *data)
{
	struct name_check *check = data;

	if (memchr(path, '\n', len) && check->found.size == 0)
		report_quote(&check->found, path);
	return false;
}

static int read_folder(struct erofs_tree *tree, const char *path, int64_t mtime, struct error *err)
{
	struct name_check check = {BUFFER_INIT};
	struct erofs_fromdir_opts opts = {
	    .all_root = true,
	    .set_mtime = true,
	    .mtime = mtime,
	    .skip_sockets = true,
	    .exclude = check_name,
	    .exclude_data = &check,
	};
	int r = erofs_tree_from_dir(tree, path, &opts, err);

	if (r == 0 && check.found.size > 0)
		r = error_set_kind(err, ERROR_INPUT, EINVAL,
		                   "the name \"%s\" has a newline in it; rename the file",
		                   buffer_cstr(&check.found));
	buffer_free(&check.found);
	return r;
}

/* ---------------------------------------------------------------- what is in a folder */

struct digesting {
	const char *folder;
	struct hash *hash;
	struct links links; /* of files with several names */
	uint32_t numbers;   /* given to these */
	struct buffer text;
	uint8_t *buf; /* owned; PIECE bytes */
};

static int hash_content(struct digesting *d, const char *path, struct error *err)
{
	_cleanup_free_ char *name = str_printf("%s/%s", d->folder, path);
	_cleanup_close_ int fd = name ? open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	int r = 0;

	if (fd < 0)
		return error_errno(err, name ? errno : ENOMEM, "cannot read %s", path);
	while (r == 0) {
		ssize_t n = read(fd, d->buf, PIECE);

		if (tool_interrupted())
			return error_set(err, EINTR, "interrupted");
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot read %s", path);
		if (n == 0)
			break;
		r = hash_update(d->hash, d->buf, (size_t)n, err);
	}
	return r;
}

/* A number that all names of a file share, and whether this is the first; 0: it has no other. */
static int number(struct digesting *d, const struct erofs_node *node, uint32_t *number, bool *first,
                  struct error *err)
{
	struct erofs_attr attr;
	struct link *link;

	*number = 0;
	*first = true;
	erofs_node_attr(node, &attr);
	if (S_ISDIR(attr.mode) || erofs_node_nlink(node) < 2)
		return 0;
	link = links_get(&d->links, (uintptr_t)node);
	if (!link)
		return error_set(err, ENOMEM, "no memory to read the folder");
	*first = link->ino == 0;
	if (*first)
		link->ino = ++d->numbers;
	*number = link->ino;
	return 0;
}

/* Everything said with its length, so that no two folders say the same. */
static void describe(struct buffer *out, const char *path, const struct erofs_node *node,
                     uint32_t number)
{
	struct erofs_attr attr;
	const char *target;
	const void *value;
	char name[EROFS_NAME_MAX + 32];
	size_t size = 0;

	erofs_node_attr(node, &attr);
	target = erofs_node_target(node, &size);
	buffer_printf(out, "%zu:%s %o %u:%u %u %" PRIu64 " %zu:%s", strlen(path), path, attr.mode,
	              attr.rdev_major, attr.rdev_minor, number,
	              S_ISREG(attr.mode) ? erofs_node_size(node) : 0, target ? size : 0,
	              target ? target : "");
	for (size_t i = 0; erofs_node_xattr(node, i, name, sizeof(name), &value, &size) == 0; i++) {
		buffer_printf(out, " %zu:%s=%zu:", strlen(name), name, size);
		buffer_append(out, value, size);
	}
	buffer_str(out, "\n");
}

static int hash_entry(struct digesting *d, struct erofs_entry *e, struct error *err)
{
	const struct erofs_node *node = erofs_entry_node(e);
	char path[EROFS_PATH_MAX + 1];
	struct erofs_attr attr;
	uint32_t n;
	bool first;
	int r = number(d, node, &n, &first, err);

	if (r < 0)
		return r;
	if (erofs_entry_path(e, path, sizeof(path)) < 0)
		return error_set_kind(err, ERROR_INPUT, ENAMETOOLONG, "a path is too long");
	erofs_node_attr(node, &attr);
	buffer_clear(&d->text);
	describe(&d->text, path, node, n);
	if (d->text.failed)
		return error_set(err, ENOMEM, "no memory to read the folder");
	r = hash_update(d->hash, d->text.data, d->text.size, err);
	return r == 0 && first && S_ISREG(attr.mode) ? hash_content(d, path, err) : r;
}

/* Names, modes, links, content and xattrs; neither owners nor times, which the root does not take
 * over, nor what the folder itself is. */
static int digest_folder(const char *path, char sha256[65], struct error *err)
{
	struct digesting d = {.folder = path, .buf = malloc(PIECE)};
	_cleanup_erofs_tree_ struct erofs_tree *tree = NULL;
	struct digest digest;
	int r = d.buf ? erofs_tree_new(&tree, NULL, err)
	              : error_set(err, ENOMEM, "no memory to read the folder");

	if (r == 0)
		r = read_folder(tree, path, 0, err);
	if (r == 0)
		r = hash_new(DIGEST_SHA256, &d.hash, err);
	for (struct erofs_entry *e = NULL; r == 0 && (e = erofs_tree_walk(tree, e));)
		r = hash_entry(&d, e, err);
	if (r == 0)
		r = hash_final(d.hash, &digest, err);
	if (r == 0)
		snprintf(sha256, 65, "%.64s", digest.text + strlen("sha256:"));
	hash_free(d.hash);
	links_free(&d.links);
	buffer_free(&d.text);
	free(d.buf);
	return r;
}

static int add_folder(struct profile *p, const char *path, const struct profile_source *src,
                      char sha256[65], struct error *err)
{
	struct erofs_attr root;
	int r;

	erofs_node_attr(erofs_tree_root(p->tree), &root);
	r = read_folder(p->tree, path, src->mtime, err);
	if (r < 0)
		return r;
	/* "/" stays as it is, too. */
	erofs_node_set_attr(erofs_tree_root(p->tree), &root);
	return digest_folder(path, sha256, err);
}

/* Content goes to a file of the stage, which is then mapped: it is read as it is needed. */
static int add_archive(struct extras *x, struct profile *p, int fd,
                       const struct profile_source *src, struct stage *stage, char sha256[65],
                       struct error *err)
{
	struct extra_map *maps = reallocarray(x->maps, x->n + 1, sizeof(*maps));
	_cleanup_close_ int spool = -1;
	int r;

	if (!maps)
		return error_set(err, ENOMEM, "no memory to read the archive");
	x->maps = maps;
	x->maps[x->n] = (struct extra_map){NULL, 0};
	r = stage_create(stage, SCRATCH, &spool, err);
	if (r == 0)
		r = extra_tar_add(p->tree, fd, spool, src->mtime, &maps[x->n].data,
		                  &maps[x->n].size, sha256, err);
	if (r == 0)
		x->n++;
	return r;
}

int extras_add(struct extras *x, struct profile *p, const char *path,
               const struct profile_source *src, struct stage *stage, char sha256[65],
               struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st = {0};
	int r;

	if (fd < 0 || fstat(fd, &st) < 0) {
		r = error_errno(err, errno, "--extra: cannot read %s", path);
		if (err)
			err->kind = ERROR_ENVIRONMENT;
		return r;
	}
	if (S_ISDIR(st.st_mode))
		r = add_folder(p, path, src, sha256, err);
	else if (S_ISREG(st.st_mode))
		r = add_archive(x, p, fd, src, stage, sha256, err);
	else
		r = error_set_kind(err, ERROR_INPUT, EINVAL, "neither a folder nor an archive");
	return r < 0 ? error_prefix(err, r, "--extra %s", path) : 0;
}

void extras_free(struct extras *x)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->maps[i].data)
			munmap(x->maps[i].data, x->maps[i].size);
	free(x->maps);
	*x = (struct extras){0};
}
