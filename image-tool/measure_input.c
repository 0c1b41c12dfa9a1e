/* SPDX-License-Identifier: Apache-2.0 */
/* measure_input: the files and the command line that a launch is measured with. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image-tool/measure.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/guestimg/boot_words.h"
#include "lib/measure/firmware.h"

#define KERNEL_MAX_SIZE (256u << 20) /* bytes */
#define INITRD_MAX_SIZE (1u << 30)

static int digest_file(struct measure_file *f, struct error *err)
{
	const struct blob part = measure_blob(f);
	uint8_t digest[SHA256_SIZE];
	int r = sha_of(SHA_ALG_256, &part, 1, digest, err);

	for (size_t i = 0; r == 0 && i < sizeof(digest); i++)
		snprintf(f->sha256 + 2 * i, 3, "%02x", digest[i]);
	return r;
}

static int read_file(struct measure_file *f, int dir, const char *name, size_t max,
                     struct error *err)
{
	struct stat st;
	int r;

	f->name = strdup(name);
	if (!f->name)
		return error_set(err, ENOMEM, "no memory for a file name");
	if (fstatat(dir, name, &st, 0) < 0)
		return error_set_kind(err, ERROR_ENVIRONMENT, errno, "cannot read %s: %s", name,
		                      strerror(errno));
	/* A pipe may have no other end, a device none at all. */
	if (!S_ISREG(st.st_mode))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is no regular file", name);
	r = fs_read_file(dir, name, max, &f->bytes, err);
	if (r < 0 && err && err->kind == ERROR_FAILED)
		err->kind = r == -EFBIG ? ERROR_INPUT : ERROR_ENVIRONMENT;
	return r < 0 ? r : digest_file(f, err);
}

/* What is measured must be what the image says that it is. */
static int read_of_image(struct measure_file *f, int dir, const struct guestimg *img,
                         const char *name, size_t max, struct error *err)
{
	const struct guestimg_file *says = guestimg_find(img, name);
	int r = read_file(f, dir, name, max, err);

	if (r < 0)
		return r;
	if (!says || strcmp(says->sha256, f->sha256) != 0)
		return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
		                      "%s has SHA-256 %.16s..., image.json says %.16s...", name,
		                      f->sha256, says ? says->sha256 : "nothing");
	return 0;
}

static bool is_initrd(const struct guestimg *img)
{
	return strcmp(img->rootfs.format, "initrd") == 0;
}

/* The words of `kihon boot --machine q35` under KVM: guests that are measured have PCI. */
static int make_cmdline(struct measure_input *in, const struct measure_options *o,
                        struct error *err)
{
	const struct guestimg *img = in->img;
	bool pmem = o->root && strcmp(o->root, "pmem") == 0;
	bool net = !o->net || strcmp(o->net, "none") != 0;
	const struct boot_launch launch = {.root = is_initrd(img) ? BOOT_ROOT_NONE
	                                           : pmem         ? BOOT_ROOT_PMEM
	                                                          : BOOT_ROOT_BLK,
	                                   .words_blk = img->rootfs.words_blk,
	                                   .words_pmem = img->rootfs.words_pmem,
	                                   .net = net ? BOOT_WORDS_NET_USER : NULL,
	                                   .level = BOOT_WORDS_QUIET,
	                                   .image = img->cmdline,
	                                   .append = o->append};

	in->cmdline = o->cmdline ? strdup(o->cmdline) : boot_words_launch(&launch);
	if (!in->cmdline)
		return error_set(err, ENOMEM, "no memory for the command line");
	for (const char *p = in->cmdline; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return error_set_kind(err, ERROR_USAGE, EINVAL,
			                      "the command line has a control character");
	return 0;
}

int measure_input_read(struct measure_input *in, const char *dir, const struct measure_options *o,
                       struct error *err)
{
	_cleanup_close_ int fd = -1;
	int r = guestimg_load(dir, &in->img, err);

	if (r < 0)
		return r;
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "cannot read %s", dir);
	if (!in->img->kernel.bzimage)
		return error_set_kind(err, ERROR_INPUT, ENOENT,
		                      "%s has no bzImage, the kernel that a firmware starts", dir);
	r = read_of_image(&in->kernel, fd, in->img, in->img->kernel.bzimage, KERNEL_MAX_SIZE, err);
	if (r == 0 && is_initrd(in->img))
		r = read_of_image(&in->initrd, fd, in->img, in->img->rootfs.file, INITRD_MAX_SIZE,
		                  err);
	if (r < 0)
		return error_prefix(err, r, "%s", dir);
	if (o->firmware)
		r = read_file(&in->firmware, AT_FDCWD, o->firmware, FIRMWARE_MAX_SIZE, err);
	return r < 0 ? r : make_cmdline(in, o, err);
}

static void free_file(struct measure_file *f)
{
	free(f->name);
	buffer_free(&f->bytes);
}

void measure_input_free(struct measure_input *in)
{
	guestimg_free(in->img);
	free_file(&in->firmware);
	free_file(&in->kernel);
	free_file(&in->initrd);
	free(in->cmdline);
}

struct blob measure_blob(const struct measure_file *f)
{
	return (struct blob){f->bytes.data, f->bytes.size};
}

const char *measure_root_hash(const struct measure_input *in)
{
	const char *hash = in->img->verity.root_hash;

	return hash && strstr(in->cmdline, hash) ? hash : NULL;
}
