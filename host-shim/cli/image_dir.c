/* SPDX-License-Identifier: Apache-2.0 */
/* image_dir: where a guest image is, and what is in it. */
#include "image_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "host-shim/hypervisor/hypervisor.h"
#include "lib/guestimg/kconfig.h"
#include "lib/guestimg/locate.h"

#define DEFAULT_PROFILE "container"

static char *default_path(struct error *err)
{
	_cleanup_locations_ struct locations where = LOCATIONS_INIT;
	const char *named = getenv("KIHON_IMAGE_DIR");
	char *path = NULL;

	if (!str_empty(named))
		return strdup(named);
	if (locations_find(&where, NULL) == 0 && where.images)
		path = str_printf("%s/%s", where.images, DEFAULT_PROFILE);
	if (path && fs_exists(path))
		return path;
	free(path);
	error_set_kind(
	    err, ERROR_ENVIRONMENT, ENOENT,
	    "no guest image was found: build one (kata-image-tool build -o DIR) and name "
	    "it with --image-dir DIR or KIHON_IMAGE_DIR");
	return NULL;
}

/* A file that image.json names, which must be there and whole. Its digest is not checked:
 * `kata-image-tool verify` does that. */
static int file_in(const struct image_dir *d, const struct guestimg *img, const char *name,
                   char **out, struct error *err)
{
	const struct guestimg_file *file = guestimg_find(img, name);
	struct stat st;

	*out = str_printf("%s/%s", d->path, name);
	if (!*out)
		return error_set(err, ENOMEM, "no memory for a file name");
	if (stat(*out, &st) < 0)
		return error_set_kind(err, ERROR_INPUT, ENOENT,
		                      "%s, which " GUESTIMG_FILE
		                      " names: %s; build the image again",
		                      *out, strerror(errno));
	if (file && (uint64_t)st.st_size != file->size)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s has %" PRIu64 " bytes, not %" PRIu64 " as " GUESTIMG_FILE
		                      " says: build the image again",
		                      *out, (uint64_t)st.st_size, file->size);
	return 0;
}

static int keep_words(char **out, const char *words)
{
	if (!str_empty(words) && !(*out = strdup(words)))
		return -ENOMEM;
	return 0;
}

/* An image without a kernel.config is of before those were kept, or has a kernel of the user's: it
 * is given all devices. */
static int find_lacks(struct image_dir *d, const struct guestimg *img, struct error *err)
{
	static const struct {
		uint32_t bit;
		const char *symbol;
	} traits[] = {
	    {HYPERVISOR_LACKS_ACPI, "ACPI"},
	    {HYPERVISOR_LACKS_PCI, "VIRTIO_PCI"},
	    {HYPERVISOR_LACKS_NET, "VIRTIO_NET"},
	    {HYPERVISOR_LACKS_VSOCK, "VIRTIO_VSOCKETS"},
	    {HYPERVISOR_LACKS_BALLOON, "VIRTIO_BALLOON"},
	    {HYPERVISOR_LACKS_MEM, "VIRTIO_MEM"},
	    {HYPERVISOR_LACKS_FS, "VIRTIO_FS"},
	    {HYPERVISOR_LACKS_CONSOLE, "VIRTIO_CONSOLE"},
	};
	enum { N = sizeof(traits) / sizeof(*traits) };
	struct kconfig_wanted wanted[N] = {0};
	_cleanup_free_ char *path = NULL;
	int r;

	if (!img->kernel.config)
		return 0;
	for (size_t i = 0; i < N; i++)
		wanted[i].name = traits[i].symbol;
	r = file_in(d, img, img->kernel.config, &path, err);
	if (r == 0)
		r = kconfig_look_up(AT_FDCWD, path, wanted, N, err);
	for (size_t i = 0; r == 0 && i < N; i++)
		if (!wanted[i].built_in)
			d->lacks |= traits[i].bit;
	return r;
}

static int keep_program(struct image_dir *d, const struct guestimg *img, struct error *err)
{
	if (img->memory_min > 1u << 20)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s: \"memory_min\" is more than a guest can have", d->path);
	d->memory_min = img->memory_min << 20;
	d->confidential = guestimg_is_confidential(img);
	return keep_words(&d->program, img->program) < 0 ? error_set(err, ENOMEM, "no memory") : 0;
}

static int open_image(struct image_dir *d, const char *path, const uint32_t *lacks,
                      struct error *err)
{
	struct guestimg *img = NULL;
	int r;

	*d = (struct image_dir){0};
	d->path = path ? strdup(path) : default_path(err);
	if (!d->path)
		return err && err->code ? err->code : error_set(err, ENOMEM, "no memory");
	if (!fs_exists(d->path))
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
		                      "there is no image folder %s: build one with "
		                      "'kata-image-tool build -o %s'",
		                      d->path, d->path);
	r = guestimg_load(d->path, &img, err);
	d->json = img;
	if (r == 0)
		r = file_in(d, img, img->kernel.vmlinux, &d->kernel, err);
	/* Only some guests take it: whether it is there is theirs to find out. */
	if (r == 0 && img->kernel.bzimage &&
	    !(d->bzimage = str_printf("%s/%s", d->path, img->kernel.bzimage)))
		r = error_set(err, ENOMEM, "no memory for a file name");
	if (r == 0)
		r = file_in(d, img, img->rootfs.file,
		            strcmp(img->rootfs.format, "initrd") == 0 ? &d->initrd : &d->rootfs,
		            err);
	if (r == 0 && (keep_words(&d->cmdline, img->cmdline) < 0 ||
	               keep_words(&d->words_blk, img->rootfs.words_blk) < 0 ||
	               keep_words(&d->words_pmem, img->rootfs.words_pmem) < 0))
		r = error_set(err, ENOMEM, "no memory for the kernel command line");
	if (r == 0 && lacks)
		d->lacks = *lacks;
	else if (r == 0)
		r = find_lacks(d, img, err);
	return r < 0 ? r : keep_program(d, img, err);
}

int image_dir_open(struct image_dir *d, const char *path, struct error *err)
{
	return open_image(d, path, NULL, err);
}

int image_dir_open_known(struct image_dir *d, const char *path, uint32_t lacks, struct error *err)
{
	return open_image(d, path, &lacks, err);
}

void image_dir_free(struct image_dir *d)
{
	free(d->path);
	free(d->kernel);
	free(d->bzimage);
	free(d->rootfs);
	free(d->initrd);
	free(d->cmdline);
	free(d->words_blk);
	free(d->words_pmem);
	free(d->program);
	guestimg_free(d->json);
	*d = (struct image_dir){0};
}
