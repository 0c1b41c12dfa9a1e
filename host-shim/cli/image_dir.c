/* SPDX-License-Identifier: Apache-2.0 */
/* image_dir: where a guest image is, and what is in it. */
#include "image_dir.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

/* From the folder of the executable: the build tree, and an installation. */
static const char *const places[] = {"../../image/container", "../share/kihon/images/container"};

static char *default_path(struct error *err)
{
	const char *named = getenv("KIHON_IMAGE_DIR");
	char self[PATH_MAX];
	ssize_t n;

	if (!str_empty(named))
		return strdup(named);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		*strrchr(self, '/') = '\0';
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			char *path = str_printf("%s/%s", self, places[i]);

			if (path && fs_exists(path))
				return path;
			free(path);
		}
	}
	error_set_kind(
	    err, ERROR_ENVIRONMENT, ENOENT,
	    "no guest image was found: build one (kata-image-tool build -o DIR) and name "
	    "it with --image-dir DIR or KIHON_IMAGE_DIR");
	return NULL;
}

static char *file_in(const char *dir, const char *name)
{
	char *path = str_printf("%s/%s", dir, name);

	if (path && !fs_exists(path)) {
		free(path);
		path = NULL;
	}
	return path;
}

int image_dir_open(struct image_dir *d, const char *path, struct error *err)
{
	*d = (struct image_dir){0};
	d->path = path ? strdup(path) : default_path(err);
	if (!d->path)
		return err && err->code ? err->code : error_set(err, ENOMEM, "no memory");
	if (!fs_exists(d->path))
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
		                      "there is no image folder %s: build one with "
		                      "'kata-image-tool build -o %s'",
		                      d->path, d->path);
	d->kernel = file_in(d->path, "vmlinux");
	d->rootfs = file_in(d->path, "rootfs.erofs");
	d->initrd = d->rootfs ? NULL : file_in(d->path, "rootfs.initrd");
	if (!d->kernel)
		return error_set_kind(err, ERROR_INPUT, ENOENT,
		                      "%s has no vmlinux: it is not a "
		                      "guest image",
		                      d->path);
	return 0;
}

void image_dir_free(struct image_dir *d)
{
	free(d->path);
	free(d->kernel);
	free(d->rootfs);
	free(d->initrd);
	free(d->cmdline);
	*d = (struct image_dir){0};
}
