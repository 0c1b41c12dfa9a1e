/* SPDX-License-Identifier: Apache-2.0 */
/* inspect: says what an image, a file of one or an OCI image is and holds. */
#include "image-tool/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image-tool/tool.h"
#include "lib/base/str.h"
#include "lib/disk/layout.h"
#include "lib/guestimg/guestimg.h"

/* ---------------------------------------------------------------- a folder with image.json */

static int open_place(int dir, const char *name, int *fd, struct place *place, struct error *err)
{
	struct stat st;

	*fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*fd < 0 || fstat(*fd, &st) < 0)
		return error_errno(err, errno, "cannot read %s", name);
	*place = (struct place){*fd, 0, (uint64_t)st.st_size};
	return 0;
}

/* A disk's partitions, or why there are none to be read. */
static void report_disk(struct report *r, int fd)
{
	struct error err = ERROR_INIT;
	struct disk_layout l;
	int e = disk_layout_read(fd, &l, &err);

	if (e != 0)
		report_string(r, "disk", e < 0 ? err.text : "no DAX information block");
	else if (l.hash_size > 0)
		report_stringf(r, "disk",
		               "%" PRIu64 " bytes; root at %" PRIu64 ", %" PRIu64
		               " bytes; hash tree at %" PRIu64 ", %" PRIu64 " bytes",
		               l.size, l.root_start, l.root_size, l.hash_start, l.hash_size);
	else
		report_stringf(r, "disk",
		               "%" PRIu64 " bytes; root at %" PRIu64 ", %" PRIu64 " bytes", l.size,
		               l.root_start, l.root_size);
}

static void report_root(struct report *r, int dir, const struct guestimg *img)
{
	_cleanup_close_ int fd = openat(dir, img->rootfs.file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	report_stringf(r, "root", "%s (%s)", img->rootfs.file, img->rootfs.format);
	report_string(r, "type", img->rootfs.type);
	if (img->verity.root_hash)
		report_stringf(r, "verity",
		               "root %s, %" PRIu64 " blocks at %" PRIu64 ", tree at %" PRIu64,
		               img->verity.root_hash, img->verity.data_blocks,
		               img->verity.data_offset, img->verity.hash_offset);
	if (fd >= 0 && strcmp(img->rootfs.format, "kata") == 0)
		report_disk(r, fd);
}

static void report_lists(struct report *r, const struct guestimg *img)
{
	report_list(r, "files");
	for (size_t i = 0; i < img->n_files; i++) {
		report_item(r, "%-20s %11" PRIu64 "  sha256:%s", img->files[i].name,
		            img->files[i].size, img->files[i].sha256);
		report_end(r);
	}
	report_end(r);
	report_list(r, "packages");
	for (size_t i = 0; i < img->n_packages; i++) {
		report_item(r, "%-16s %-28s %s", img->packages[i].name, img->packages[i].version,
		            img->packages[i].licence);
		report_end(r);
	}
	report_end(r);
}

static void report_image(struct report *r, int dir, const struct guestimg *img)
{
	bool is_signed = faccessat(dir, GUESTIMG_SIGNATURE, F_OK, 0) == 0;

	report_stringf(r, "name", "%s (profile %s, %s)", img->name, img->profile, img->arch);
	report_stringf(r, "made by", "Kihon %s, time %" PRIu64 "%s", img->version, img->timestamp,
	               is_signed ? ", signed" : "");
	report_stringf(r, "kernel", "Linux %s", img->kernel.version);
	report_root(r, dir, img);
	report_string(r, "words", img->cmdline);
	report_string(r, "on blk", img->rootfs.words_blk);
	report_string(r, "on pmem", img->rootfs.words_pmem);
	report_stringf(r, "agent", "%s, protocol %s", img->agent.version, img->agent.protocol);
	report_lists(r, img);
}

static void raw_image(struct report *r, const struct guestimg *img)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;

	guestimg_format(img, &text);
	while (text.size > 0 && text.data[text.size - 1] == '\n')
		text.data[--text.size] = 0;
	report_raw(r, "image", buffer_cstr(&text));
}

/* Without --files JSON is image.json as it is, for scripts that have always had that. */
static int inspect_image(struct report *r, const char *path, const struct inspect_options *o,
                         struct error *err)
{
	_cleanup_guestimg_ struct guestimg *img = NULL;
	_cleanup_close_ int dir = -1, fd = -1;
	struct place place;
	int e = guestimg_load(path, &img, err);

	if (e < 0)
		return e;
	if (o->json && !o->files) {
		buffer_clear(&r->out);
		guestimg_format(img, &r->out);
		r->finished = true;
		return 0;
	}
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_errno(err, errno, "cannot read %s", path);
	if (o->json)
		raw_image(r, img);
	else
		report_image(r, dir, img);
	e = open_place(dir, img->rootfs.file, &fd, &place, err);
	if (e < 0)
		return o->files ? e : 0;
	report_object(r, "rootfs");
	e = inspect_place(r, &place, o->files, err);
	report_end(r);
	/* Without --files this is more than was asked for: image.json has been said. */
	if (e < 0 && !o->files) {
		report_string(r, "damaged", err->text);
		e = 0;
	}
	return e < 0 ? error_prefix(err, e, "%s/%s", path, img->rootfs.file) : 0;
}

/* ---------------------------------------------------------------- what it is */

static bool has_file(const char *dir, const char *name)
{
	_cleanup_free_ char *path = str_printf("%s/%s", dir, name);

	return path && access(path, F_OK) == 0;
}

/* 1: nothing that is known; it may still be an archive. */
static int inspect_file(struct report *r, const char *path, const struct inspect_options *o,
                        struct error *err)
{
	_cleanup_close_ int fd = -1;
	enum probe_type type;
	struct place place;
	int e = open_place(AT_FDCWD, path, &fd, &place, err);

	if (e == 0)
		e = probe_place(&place, &type, err);
	if (e < 0)
		return e;
	if (type == PROBE_UNKNOWN)
		return 1;
	e = inspect_place(r, &place, o->files, err);
	return e < 0 ? error_prefix(err, e, "%s", path) : 0;
}

static int unknown(const char *path, struct error *err)
{
	return error_set_kind(
	    err, ERROR_INPUT, EINVAL,
	    "%s is nothing that is known: no file system, disk, initrd or kernel, "
	    "no archive of an OCI image",
	    path);
}

/* gzip and zstd pack archives as well as initrds. */
static bool may_be_archive(const char *path)
{
	static const char *const ends[] = {".tar", ".tar.gz", ".tgz", ".tar.zst"};

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (str_ends(path, ends[i]))
			return true;
	return false;
}

static int inspect(struct report *r, const char *path, const struct inspect_options *o,
                   struct error *err)
{
	struct stat st;
	int e;

	if (stat(path, &st) < 0) {
		if (errno != ENOENT || strncmp(path, "./", 2) == 0 || path[0] == '/')
			return error_errno(err, errno, "cannot read %s", path);
		return inspect_oci(r, path, o, err);
	}
	if (S_ISDIR(st.st_mode))
		return has_file(path, "oci-layout") && !has_file(path, GUESTIMG_FILE)
		           ? inspect_oci(r, path, o, err)
		           : inspect_image(r, path, o, err);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is neither a file nor a folder",
		                      path);
	if (may_be_archive(path))
		return inspect_oci(r, path, o, err);
	e = inspect_file(r, path, o, err);
	if (e <= 0)
		return e;
	return inspect_oci(r, path, o, NULL) < 0 ? unknown(path, err) : 0;
}

static int run_inspect(int argc, char **argv, void *data)
{
	const struct inspect_options *o = data;
	_cleanup_report_ struct report r;
	struct error err = ERROR_INIT;
	int e;

	report_init(&r, o->json);
	report_line(&r, "%s", argv[0]);
	e = inspect(&r, argv[0], o, &err);
	if (e == 0)
		e = report_print(&r, &err);
	return e < 0 ? tool_fail(&err) : 0;
}

static void release(void *data)
{
	struct inspect_options *o = data;

	remote_options_free(&o->remote);
}

static const struct option options[] = {
    {"files", 'f', OPTION_FLAG, offsetof(struct inspect_options, files), NULL, NULL,
     "List each file in file systems and initrds: mode, owner, size, byte offset in FILE,\n"
     "how its content is kept."},
    {"json", 0, OPTION_FLAG, offsetof(struct inspect_options, json), NULL, NULL,
     "Print JSON. Of a DIR it is image.json, checked; with --files there is \"rootfs\" beside it."},
    {"platform", 0, OPTION_STRING, offsetof(struct inspect_options, platform), "OS/ARCHITECTURE",
     NULL, "Of an OCI image that has several (this machine's)."},
    REMOTE_OPTION_ROWS(struct inspect_options, remote),
    {NULL},
};

const struct verb verb_inspect = {
    .name = "inspect",
    .args = "DIR|FILE|IMAGE",
    .summary = "Says what an image is and what it holds.",
    .details =
        "DIR is a guest image with its image.json. FILE is a root file system (EROFS, ext4), an\n"
        "initrd (newc; gzip, zstd, LZ4), a disk with a partition table, with or without the DAX\n"
        "information block that Kata's images have, a hash tree with a superblock, or a kernel.\n"
        "IMAGE is an OCI image: a layout folder, an archive, or HOST/REPOSITORY:TAG.\n"
        "\n"
        "\"dax\" says how much of the files' bytes a guest can map from a pmem device without a\n"
        "copy, in pages of 4 KiB and, where file and size allow it, of 2 MiB. Offsets are bytes "
        "in\n"
        "FILE.\n"
        "\n"
        "Examples:\n"
        "  kata-image-tool inspect image\n"
        "  kata-image-tool inspect --files --json image/rootfs.erofs\n"
        "  kata-image-tool inspect kata-containers.img",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run_inspect,
    .release = release,
    .data_size = sizeof(struct inspect_options),
};
