/* SPDX-License-Identifier: Apache-2.0 */
/* lower: see the header; Documentation/filesystems/overlayfs.rst, "whiteouts and opaque
 * directories". */
#include "lib/image/lower.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct lower_layer {
	int fd;
	struct erofs_image *image;
};

struct lower {
	size_t n;
	struct lower_layer layers[]; /* lowest first */
};

int lower_open(const char *const *files, size_t n, struct lower **out, struct error *err)
{
	_cleanup_lower_ struct lower *l = calloc(1, sizeof(*l) + n * sizeof(l->layers[0]));

	if (!l)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		struct lower_layer *layer = &l->layers[i];
		int r;

		layer->fd = open(files[i], O_RDONLY | O_CLOEXEC);
		if (layer->fd < 0)
			return error_errno(err, errno, "cannot open the layer %s", files[i]);
		l->n++;
		r = erofs_open_fd(&layer->image, layer->fd, err);
		if (r)
			return error_prefix(err, r, "%s", files[i]);
	}
	*out = steal_ptr(&l);
	return 0;
}

void lower_close(struct lower *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++) {
		erofs_close(l->layers[i].image);
		close(l->layers[i].fd);
	}
	free(l);
}

static bool is_whiteout(const struct erofs_stat *st)
{
	return S_ISCHR(st->mode) && !st->rdev_major && !st->rdev_minor;
}

static int see_xattr(const char *name, const void *value, size_t size, void *data)
{
	if (!strcmp(name, "trusted.overlay.opaque") && size == 1 && *(const char *)value == 'y')
		*(bool *)data = true;
	return 0;
}

enum seen { SEEN_FOUND, SEEN_HIDDEN, SEEN_GO_ON };

/* What one layer says about a path: that it is there, that it is hidden together with
 * all below, or nothing. */
static int look_in(struct erofs_image *image, const char *path, size_t len, struct erofs_stat *st,
                   enum seen *seen, struct error *err)
{
	bool opaque = false;

	*seen = SEEN_GO_ON;
	for (size_t at = 0;;) {
		bool last = at == len;
		int r = erofs_lookup(image, path, at, st, NULL);

		if (r == -ENOENT) {
			*seen = opaque ? SEEN_HIDDEN : SEEN_GO_ON;
			return 0;
		}
		if (r)
			return erofs_lookup(image, path, at, st, err);
		if (is_whiteout(st) || (!last && !S_ISDIR(st->mode))) {
			*seen = SEEN_HIDDEN;
			return 0;
		}
		if (last) {
			*seen = SEEN_FOUND;
			return 0;
		}
		r = erofs_xattrs(image, st, see_xattr, &opaque, err);
		if (r)
			return r;
		at += at > 0; /* to the end of the next component */
		at += strcspn(path + at, "/");
	}
}

int lower_find(struct lower *l, const char *path, size_t len, struct erofs_stat *st,
               struct erofs_image **image, struct error *err)
{
	for (size_t i = l->n; i-- > 0;) {
		enum seen seen;
		int r = look_in(l->layers[i].image, path, len, st, &seen, err);

		if (r)
			return r;
		if (seen == SEEN_HIDDEN)
			return 1;
		if (seen == SEEN_FOUND) {
			*image = l->layers[i].image;
			return 0;
		}
	}
	return 1;
}

int lower_target(struct erofs_image *image, const struct erofs_stat *st, char *out, size_t room,
                 struct error *err)
{
	ssize_t n;

	if (st->size >= room)
		return error_set_kind(err, ERROR_INPUT, ENAMETOOLONG,
		                      "a symbolic link of %llu bytes",
		                      (unsigned long long)st->size);
	n = erofs_pread(image, st, out, st->size, 0, err);
	if (n < 0)
		return (int)n;
	out[n] = '\0';
	return 0;
}
