/* SPDX-License-Identifier: Apache-2.0 */
/* verify: checks that an image's folder holds what its image.json says, and that this is sound. */
#include "image-tool/verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "image-tool/image_files.h"
#include "image-tool/probe.h"
#include "image-tool/sign.h"
#include "image-tool/tool.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/guestimg/kconfig.h"

struct verify_options {
	const char *key;
	bool json, quiet;
};

static int not_said(struct error *err, const char *what)
{
	return error_set_kind(err, ERROR_VERIFICATION, EBADMSG, "%s", what);
}

/* image.json is read once: what was signed is what is believed. */
static int load(int dir, const char *path, const char *key, struct guestimg **img, struct report *r,
                struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT, signature = BUFFER_INIT;
	bool is_signed = faccessat(dir, GUESTIMG_SIGNATURE, F_OK, 0) == 0;
	int e = fs_read_file(dir, GUESTIMG_FILE, GUESTIMG_MAX_SIZE, &text, err);

	if (e == -ENOENT)
		return guestimg_load(path, img, err); /* which says what to do */
	if (e == 0 && key) {
		if (!is_signed)
			return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
			                      GUESTIMG_FILE
			                      " is not signed: there is no " GUESTIMG_SIGNATURE);
		e = fs_read_file(dir, GUESTIMG_SIGNATURE, SIGNATURE_MAX, &signature, err);
		if (e == -EFBIG)
			return not_said(err, GUESTIMG_SIGNATURE " is too long for a signature");
		if (e == 0)
			e = sign_check(key, text.data, text.size, signature.data, signature.size,
			               GUESTIMG_SIGNATURE, err);
	}
	report_string(r, "signature", key ? "holds" : is_signed ? "not checked" : "none");
	return e < 0 ? e : guestimg_parse(buffer_cstr(&text), text.size, img, err);
}

/* What image.json says of the kernel is what the kernel says of itself. */
static int check_kernel(int dir, const struct guestimg *img, struct report *r, struct error *err)
{
	const struct guestimg_file *config =
	    img->kernel.config ? guestimg_find(img, img->kernel.config) : NULL;
	_cleanup_close_ int fd =
	    openat(dir, img->kernel.vmlinux, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	const struct guestimg_file *f = guestimg_find(img, img->kernel.vmlinux);
	struct place place = {fd, 0, f ? f->size : 0};
	struct kernel_image k;
	int e = fd < 0 ? error_errno(err, errno, "cannot read %s", img->kernel.vmlinux)
	               : kernel_image_read(&place, &k, err);

	if (e < 0) {
		if (err && e == -EINVAL)
			err->kind = ERROR_VERIFICATION;
		return error_prefix(err, e, "%s", img->kernel.vmlinux);
	}
	report_string(r, "kernel", k.version);
	if (strcmp(k.version, img->kernel.version) != 0)
		return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
		                      "%s is Linux %s, image.json says %s", img->kernel.vmlinux,
		                      k.version, img->kernel.version);
	if (config &&
	    (!img->kernel.config_sha256 || strcmp(img->kernel.config_sha256, config->sha256) != 0))
		return not_said(err, "image.json has another digest for the kernel's configuration "
		                     "than for its file");
	return 0;
}

/* Files that image.json does not know are nobody's promise; they are named. */
static void note_unlisted(const char *path, const struct guestimg *img, struct report *r)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	struct dirent *e;

	report_list(r, "unlisted");
	while (d && (e = readdir(d))) {
		_cleanup_buffer_ struct buffer name = BUFFER_INIT;

		if (e->d_name[0] == '.' || guestimg_find(img, e->d_name) ||
		    str_starts(e->d_name, GUESTIMG_FILE))
			continue;
		report_quote(&name, e->d_name);
		report_item(r, "%s", buffer_cstr(&name));
		report_string(r, "name", e->d_name);
		report_end(r);
	}
	report_end(r);
}

static int verify(const char *path, const struct verify_options *o, struct report *r,
                  struct error *err)
{
	_cleanup_guestimg_ struct guestimg *img = NULL;
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int e;

	if (dir < 0 && errno == ENOTDIR)
		return guestimg_load(path, &img, err);
	if (dir < 0)
		return error_errno(err, errno, "cannot read %s", path);
	report_string(r, "image", o->json ? path : NULL);
	report_raw(r, "ok", "true");
	e = load(dir, path, o->key, &img, r, err);
	if (e == 0)
		e = image_files_check(dir, img, err);
	if (e == 0)
		report_number(r, "files", img->n_files);
	if (e == 0)
		e = check_kernel(dir, img, r, err);
	if (e == 0)
		e = verify_root(dir, img, r, err);
	if (e < 0)
		return error_prefix(err, e, "%s", path);
	if (o->json)
		note_unlisted(path, img, r);
	else
		report_line(r, "%s: %zu files hold what image.json says", path, img->n_files);
	return 0;
}

/* Programs that read JSON learn it there, too. */
static int tell_failure(const struct verify_options *o, const char *path, const struct error *err)
{
	_cleanup_report_ struct report r;

	report_init(&r, o->json);
	if (o->json) {
		report_string(&r, "image", path);
		report_flag(&r, "ok", false);
		report_string(&r, "error", err->text);
		report_print(&r, NULL);
	}
	return tool_fail(err);
}

static int run_verify(int argc, char **argv, void *data)
{
	const struct verify_options *o = data;
	_cleanup_report_ struct report r;
	struct error err = ERROR_INIT;
	int e;

	report_init(&r, o->json);
	e = verify(argv[0], o, &r, &err);
	if (e == 0 && !o->quiet)
		e = report_print(&r, &err);
	return e < 0 ? tell_failure(o, argv[0], &err) : 0;
}

static const struct option options[] = {
    {"key", 'k', OPTION_STRING, offsetof(struct verify_options, key), "PUB", NULL,
     "Public key (PEM) that image.json.sig must be a signature of. Without it a signature is\n"
     "not looked at."},
    {"json", 0, OPTION_FLAG, offsetof(struct verify_options, json), NULL, NULL,
     "Print what was checked as JSON; also what failed."},
    {"quiet", 'q', OPTION_FLAG, offsetof(struct verify_options, quiet), NULL, NULL,
     "Print errors only."},
    {NULL},
};

const struct verb verb_verify = {
    .name = "verify",
    .args = "DIR",
    .summary = "Checks an image against its image.json, and whether it is sound.",
    .details =
        "Checked are, in this order: the signature over image.json (with --key); size and SHA-256\n"
        "of each file; that vmlinux is the kernel that image.json names; the root, by walking all\n"
        "of it: EROFS and ext4 with their checksums, links, names and blocks, each member of an\n"
        "initrd, both partition tables and the DAX information block of a disk; each block of a\n"
        "hash tree, that it covers the whole file system and is the one that the kernel's words\n"
        "name. The first thing that does not hold is named, with exit status 5.\n"
        "\n"
        "Without --key this finds damage; it does not say who made the image.\n"
        "\n"
        "Examples:\n"
        "  kata-image-tool verify image\n"
        "  openssl genpkey -algorithm ed25519 -out key.pem\n"
        "  openssl pkey -in key.pem -pubout -out pub.pem\n"
        "  kata-image-tool build --sign key.pem -o image\n"
        "  kata-image-tool verify --key pub.pem image",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run_verify,
    .data_size = sizeof(struct verify_options),
};
