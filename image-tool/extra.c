/* SPDX-License-Identifier: Apache-2.0 */
/* extra: folders and archives over the root. */
#include "image-tool/extra.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image-tool/extra_tar.h"
#include "image-tool/report.h"
#include "lib/erofs/fromdir.h"
#include "lib/erofs/writer.h"

#define SCRATCH "extra.tmp"

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

/* An EROFS image of the folder alone says what is in it: names, modes, content, xattrs. */
static int digest_folder(struct stage *stage, const char *path, char sha256[65], struct error *err)
{
	static const struct erofs_write_opts opts = EROFS_WRITE_OPTS_LAYER;
	const struct erofs_attr root = {.mode = S_IFDIR | 0755};
	_cleanup_erofs_tree_ struct erofs_tree *tree = NULL;
	_cleanup_close_ int fd = -1, dir = -1;
	uint64_t size;
	int r = erofs_tree_new(&tree, &root, err);

	if (r == 0)
		r = read_folder(tree, path, 0, err);
	/* The folder's own mode is the host's business. */
	if (r == 0)
		erofs_node_set_attr(erofs_tree_root(tree), &root);
	if (r == 0)
		r = stage_create(stage, SCRATCH, &fd, err);
	if (r == 0)
		r = erofs_write_tree(tree, fd, &opts, NULL, err);
	if (r < 0)
		return r;
	dir = open(stage->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_errno(err, errno, "cannot read %s", stage->path);
	r = measure_file(dir, SCRATCH, sha256, &size, err);
	unlinkat(dir, SCRATCH, 0);
	return r;
}

static int add_folder(struct profile *p, const char *path, const struct profile_source *src,
                      struct stage *stage, char sha256[65], struct error *err)
{
	struct erofs_attr root;
	int r;

	erofs_node_attr(erofs_tree_root(p->tree), &root);
	r = read_folder(p->tree, path, src->mtime, err);
	if (r < 0)
		return r;
	/* "/" stays as it is, too. */
	erofs_node_set_attr(erofs_tree_root(p->tree), &root);
	return digest_folder(stage, path, sha256, err);
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
		r = add_folder(p, path, src, stage, sha256, err);
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
