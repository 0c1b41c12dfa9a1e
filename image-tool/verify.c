/* SPDX-License-Identifier: Apache-2.0 */
/* verify: checks that an image's folder holds what its image.json says. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "image-tool/stage.h"
#include "image-tool/tool.h"
#include "lib/base/cleanup.h"
#include "lib/erofs/reader.h"

static int check_file(int dir, const struct guestimg_file *f, struct error *err)
{
	char sha256[65];
	uint64_t size;
	int r = measure_file(dir, f->name, sha256, &size, err);

	if (r < 0)
		return r;
	if (size != f->size)
		return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
		                      "%s has %" PRIu64 " bytes, image.json says %" PRIu64, f->name,
		                      size, f->size);
	if (strcmp(sha256, f->sha256) != 0)
		return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
		                      "%s has SHA-256 %.16s..., image.json says %.16s...", f->name,
		                      sha256, f->sha256);
	return 0;
}

/* The root is ours to understand: its structure is looked at as well. */
static int check_root(int dir, const struct guestimg *img, struct error *err)
{
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	_cleanup_close_ int fd = -1;
	struct erofs_check_result result;
	int r;

	if (strcmp(img->rootfs.format, "erofs") != 0)
		return 0;
	fd = openat(dir, img->rootfs.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	r = fd < 0 ? error_errno(err, errno, "cannot read %s", img->rootfs.file)
	           : erofs_open_fd(&image, fd, err);
	if (r == 0)
		r = erofs_check(image, &result, err);
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
	for (size_t i = 0; r == 0 && i < img->n_files; i++)
		r = check_file(dir, &img->files[i], err);
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
    .details = "Sizes and SHA-256 digests are compared, and the structure of an EROFS root is\n"
               "checked. This finds damage; it does not say who made the image.",
    .min_args = 1,
    .max_args = 1,
    .run = run_verify,
};
