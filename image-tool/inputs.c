/* SPDX-License-Identifier: Apache-2.0 */
/* inputs: pins of lists, files, kernel and libraries. */
#include "image-tool/inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "image-tool/packages.h"
#include "image-tool/stage.h"
#include "lib/base/version.h"
#include "lib/erofs/compress.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int add_file(struct lock *lock, const char *kind, const char *name, const char *path,
                    struct error *err)
{
	char sha256[65];
	uint64_t size;
	int r = measure_path(path, sha256, &size, err);

	return r < 0 ? r : lock_add(lock, kind, name, NULL, sha256, err);
}

/* A source and its place, to be sorted: folders are read in no order. */
struct used {
	const char *source, *path;
};

static int by_source(const void *a, const void *b)
{
	const struct used *x = a, *y = b;

	return strcmp(x->source, y->source);
}

static int add_files(struct lock *lock, const struct profile *p, struct error *err)
{
	_cleanup_free_ struct used *used = calloc(p->sources.n + 1, sizeof(*used));
	int r = 0;

	if (!used)
		return error_set(err, ENOMEM, "no memory for " LOCK_FILE);
	for (size_t i = 0; i < p->sources.n; i++)
		used[i] = (struct used){p->sources.v[i], p->paths.v[i]};
	qsort(used, p->sources.n, sizeof(*used), by_source);
	for (size_t i = 0; r == 0 && i < p->sources.n; i++)
		if (i == 0 || strcmp(used[i].source, used[i - 1].source) != 0)
			r = add_file(lock, "file", used[i].source, used[i].path, err);
	return r;
}

int inputs_add_sources(struct lock *lock, const struct profile *p, const struct strv *fragments,
                       struct error *err)
{
	int r = lock_add(lock, "kihon", "kihon", KIHON_VERSION, NULL, err);

	for (size_t i = 0; r == 0 && i < p->lists.n; i++)
		r = add_file(lock, "profile", base_name(p->lists.v[i]), p->lists.v[i], err);
	if (r == 0)
		r = add_files(lock, p, err);
	for (size_t i = 0; r == 0 && i < fragments->n; i++)
		r = add_file(lock, "fragment", base_name(fragments->v[i]), fragments->v[i], err);
	return r;
}

/* A kernel that nobody described is pinned as it is. */
static int add_kernel_files(struct lock *lock, const struct guestimg *img, struct error *err)
{
	const char *const names[] = {img->kernel.vmlinux, img->kernel.bzimage};
	int r = 0;

	for (size_t i = 0; r == 0 && i < 2; i++) {
		const struct guestimg_file *f = names[i] ? guestimg_find(img, names[i]) : NULL;

		if (f)
			r = lock_add(lock, "kernel-file", f->name, img->kernel.version, f->sha256,
			             err);
	}
	return r;
}

static int add_kernel_source(struct lock *lock, const struct guestimg *img,
                             const struct guestimg_package *source, struct error *err)
{
	int r =
	    lock_add(lock, "kernel-source", source->source, source->version, source->sha256, err);

	if (r == 0 && img->kernel.compiler)
		r = lock_add(lock, "kernel-compiler", "gcc", img->kernel.compiler, NULL, err);
	return r;
}

static int add_kernel(struct lock *lock, const struct guestimg *img,
                      const struct guestimg_package *source, struct error *err)
{
	int r = add_kernel_source(lock, img, source, err);

	return r < 0 ? r
	             : lock_add(lock, "kernel-config", img->profile, NULL,
	                        img->kernel.config_sha256, err);
}

/* What a compressed EROFS root is packed with: another version may pack otherwise. */
static int add_compressor(struct lock *lock, const struct guestimg *img, struct error *err)
{
	const char *fs = img->rootfs.type ?: img->rootfs.format, *how = img->rootfs.compress;

	if (strcmp(fs, "erofs") != 0 || !how || !str_starts(how, "lz4"))
		return 0;
	return lock_add(lock, "compressor", "liblz4", erofs_lz4_version(), NULL, err);
}

int inputs_add_known(struct lock *lock, const struct guestimg *img, const struct locations *where,
                     struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < img->n_packages; i++) {
		const struct guestimg_package *p = &img->packages[i];

		if (strcmp(p->name, "linux") == 0)
			r = add_kernel_source(lock, img, p, err);
		else
			r = lock_add(lock, "package", p->name, p->version, p->sha256, err);
	}
	return r < 0 ? r : packages_pin_builds(lock, img, where, err);
}

int inputs_add_made(struct lock *lock, const struct guestimg *img, const struct locations *where,
                    struct error *err)
{
	bool described = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < img->n_packages; i++) {
		const struct guestimg_package *p = &img->packages[i];

		if (strcmp(p->name, "linux") == 0) {
			described = true;
			r = add_kernel(lock, img, p, err);
		} else {
			r = lock_add(lock, "package", p->name, p->version, p->sha256, err);
		}
	}
	if (r == 0 && !described)
		r = add_kernel_files(lock, img, err);
	if (r == 0)
		r = add_compressor(lock, img, err);
	return r < 0 ? r : packages_pin_builds(lock, img, where, err);
}
