/* SPDX-License-Identifier: Apache-2.0 */
/* image_files: whether the files of an image are those that its image.json names. */
#include "image-tool/image_files.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "image-tool/stage.h"
#include "image-tool/tool.h"

static int check_file(int dirfd, const struct guestimg_file *f, struct error *err)
{
	char sha256[65];
	uint64_t size;
	int r = measure_file(dirfd, f->name, sha256, &size, err);

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

int image_files_check(int dirfd, const struct guestimg *img, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < img->n_files; i++) {
		r = check_file(dirfd, &img->files[i], err);
		if (r == 0 && tool_interrupted())
			r = error_set(err, EINTR, "interrupted");
	}
	return r;
}
