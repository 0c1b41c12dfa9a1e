/* SPDX-License-Identifier: Apache-2.0 */
/* verify: checks that an image's folder holds what its image.json says. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "image-tool/image_files.h"
#include "image-tool/tool.h"
#include "lib/base/cleanup.h"
#include "lib/disk/layout.h"
#include "lib/erofs/reader.h"
#include "lib/verity/verity.h"

/* Where the file system is in the root's file: all of it, or the first partition of a disk. */
static int find_root(int fd, const struct guestimg *img, uint64_t *offset, uint64_t *size,
                     struct error *err)
{
	struct disk_layout l;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "cannot read %s", img->rootfs.file);
	*offset = 0;
	*size = (uint64_t)st.st_size;
	if (strcmp(img->rootfs.format, "kata") != 0)
		return 0;
	r = disk_layout_read(fd, &l, err);
	if (r > 0)
		r = error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
		                   "there is no DAX information block, so it is no disk for Kata");
	if (r < 0)
		return r;
	*offset = l.root_start;
	*size = l.root_size;
	if (img->verity.root_hash &&
	    (img->verity.data_offset != l.root_start || img->verity.hash_offset != l.hash_start))
		return error_set_kind(
		    err, ERROR_VERIFICATION, EBADMSG,
		    "its partitions are not where image.json has data and hash tree");
	return 0;
}

/* Mapped, for the reader looks at whole files or at memory. */
static int check_erofs(int fd, uint64_t offset, uint64_t size, struct error *err)
{
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	struct erofs_check_result result;
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	int r;

	if (map == MAP_FAILED)
		return error_errno(err, errno, "cannot read the root file system");
	r = erofs_open_memory(&image, map, size, err);
	if (r == 0)
		r = erofs_check(image, &result, err);
	erofs_close(steal_ptr(&image));
	munmap(map, size);
	return r;
}

static int check_tree(int fd, const struct guestimg_verity *g, struct error *err)
{
	const struct verity_place place = {fd, g->data_offset, fd, g->hash_offset, false};
	struct verity v = {.data_blocks = g->data_blocks, .salt_size = 32};
	int r = verity_unhex(g->root_hash, v.root, sizeof(v.root));

	if (r == 0)
		r = verity_unhex(g->salt, v.salt, v.salt_size);
	return r < 0 ? error_set_kind(err, ERROR_INPUT, EINVAL,
	                              "image.json: verity: not hexadecimal digits")
	             : verity_check(&v, &place, err);
}

/* The root is ours to understand: its structure is looked at as well. */
static int check_root(int dir, const struct guestimg *img, struct error *err)
{
	_cleanup_close_ int fd = -1;
	const char *type = img->rootfs.type ?: img->rootfs.format;
	uint64_t offset = 0, size = 0;
	int r;

	fd = openat(dir, img->rootfs.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	r = fd < 0 ? error_errno(err, errno, "cannot read %s", img->rootfs.file)
	           : find_root(fd, img, &offset, &size, err);
	if (r == 0 && strcmp(type, "erofs") == 0)
		r = check_erofs(fd, offset, size, err);
	if (r == 0 && img->verity.root_hash)
		r = check_tree(fd, &img->verity, err);
	return r < 0 ? error_prefix(err, r, "%s", img->rootfs.file) : 0;
}

static int verify(const char *path, struct error *err)
{
	_cleanup_guestimg_ struct guestimg *img = NULL;
	_cleanup_close_ int dir = -1;
	int r = guestimg_load(path, &img, err);

	if (r < 0)
		return r;
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_errno(err, errno, "cannot read %s", path);
	r = image_files_check(dir, img, err);
	if (r == 0)
		r = check_root(dir, img, err);
	if (r == 0)
		printf("%s: %zu files hold what image.json says\n", path, img->n_files);
	return r < 0 ? error_prefix(err, r, "%s", path) : 0;
}

static int run_verify(int argc, char **argv, void *data)
{
	struct error err = ERROR_INIT;

	return verify(argv[0], &err) < 0 ? tool_fail(&err) : 0;
}

const struct verb verb_verify = {
    .name = "verify",
    .args = "DIR",
    .summary = "Checks the files of an image against its image.json.",
    .details = "Sizes and SHA-256 digests are compared; the structure of an EROFS root, the\n"
               "partitions of a disk and each block of a hash tree are checked. This finds damage; "
               "it does not say who made the image.",
    .min_args = 1,
    .max_args = 1,
    .run = run_verify,
};
