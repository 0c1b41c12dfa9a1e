/* SPDX-License-Identifier: Apache-2.0 */
/* erofs_layer: see the header; Documentation/filesystems/overlayfs.rst names the attributes. */
#include "lib/image/erofs_layer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/erofs/reader.h"

/* ---- bytes */

struct file_stage {
	struct stage stage;
	int fd;
	uint64_t at;
};

static int file_feed(struct stage *s, const uint8_t *p, size_t n, struct error *err)
{
	struct file_stage *f = (struct file_stage *)s;
	int r = fs_pwrite_all(f->fd, p, n, f->at);

	f->at += n;
	return r ? error_errno(err, -r, "cannot store the layer") : 0;
}

static int file_end(struct stage *s, struct error *err)
{
	return 0;
}

static void file_free(struct stage *s)
{
	free(s);
}

int stage_file_new(int out_fd, struct stage **out, struct error *err)
{
	static const struct stage_ops ops = {file_feed, file_end, file_free};
	struct file_stage *f = calloc(1, sizeof(*f));

	if (!f)
		return error_set(err, ENOMEM, "out of memory");
	f->stage.ops = &ops;
	f->fd = out_fd;
	*out = &f->stage;
	return 0;
}

/* ---- structure */

struct look {
	struct erofs_image *image;
	struct error *err;
};

static int see_xattr(const char *name, const void *value, size_t size, void *data)
{
	struct look *l = data;
	bool opaque =
	    !strcmp(name, "trusted.overlay.opaque") && size == 1 && *(const char *)value == 'y';

	if (opaque || !(str_starts(name, "trusted.overlay.") || str_starts(name, "user.overlay.") ||
	                str_starts(name, "trusted.kihon.")))
		return 0;
	return error_set_kind(
	    l->err, ERROR_INPUT, EINVAL,
	    "the layer's image has the attribute \"%.60s\", which layers must not", name);
}

static int see_file(const char *path, const struct erofs_stat *st, void *data)
{
	struct look *l = data;

	return st->xattr_size ? erofs_xattrs(l->image, st, see_xattr, l, l->err) : 0;
}

int erofs_layer_check(int fd, uint64_t max_size, struct error *err)
{
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	struct erofs_check_result result;
	struct look look = {.err = err};
	int r = erofs_open_fd(&image, fd, err);

	if (!r)
		r = erofs_check(image, &result, err);
	if (!r && result.file_bytes > max_size)
		r = error_set_kind(err, ERROR_INPUT, EFBIG,
		                   "the layer's files have more than %llu bytes (limit)",
		                   (unsigned long long)max_size);
	if (r)
		return r;
	look.image = image;
	return erofs_walk(image, see_file, &look, err);
}
