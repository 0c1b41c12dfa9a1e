/* SPDX-License-Identifier: Apache-2.0 */
/* inspect: says what an image is and what it was made of. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "image-tool/tool.h"
#include "lib/disk/layout.h"
#include "lib/guestimg/guestimg.h"

struct inspect_options {
	bool json;
};

/* A disk's partitions, or why there are none to be read. */
static void print_disk(const char *path, const struct guestimg *img)
{
	_cleanup_free_ char *file = str_printf("%s/%s", path, img->rootfs.file);
	_cleanup_close_ int fd = -1;
	struct error err = ERROR_INIT;
	struct disk_layout l;
	int r;

	if (!file || strcmp(img->rootfs.format, "kata") != 0)
		return;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? error_errno(&err, errno, "cannot read %s", file)
	           : disk_layout_read(fd, &l, &err);
	if (r != 0) {
		printf("  disk      %s\n", r < 0 ? err.text : "no DAX information block");
		return;
	}
	printf("  disk      %" PRIu64 " bytes; root at %" PRIu64 ", %" PRIu64 " bytes", l.size,
	       l.root_start, l.root_size);
	if (l.hash_size > 0)
		printf("; hash tree at %" PRIu64 ", %" PRIu64 " bytes", l.hash_start, l.hash_size);
	printf("\n");
}

static void print(const char *path, const struct guestimg *img)
{
	printf("%s\n", path);
	printf("  name      %s (profile %s, %s)\n", img->name, img->profile, img->arch);
	printf("  made by   Kihon %s, time %" PRIu64 "\n", img->version, img->timestamp);
	printf("  kernel    Linux %s\n", img->kernel.version);
	printf("  root      %s (%s)\n", img->rootfs.file, img->rootfs.format);
	if (img->rootfs.type)
		printf("  type      %s\n", img->rootfs.type);
	if (img->verity.root_hash)
		printf("  verity    root %s, %" PRIu64 " blocks at %" PRIu64 ", tree at %" PRIu64
		       "\n",
		       img->verity.root_hash, img->verity.data_blocks, img->verity.data_offset,
		       img->verity.hash_offset);
	print_disk(path, img);
	printf("  words     %s\n", img->cmdline);
	if (img->rootfs.words_blk)
		printf("  on blk    %s\n", img->rootfs.words_blk);
	if (img->rootfs.words_pmem)
		printf("  on pmem   %s\n", img->rootfs.words_pmem);
	printf("  agent     %s, protocol %s\n", img->agent.version, img->agent.protocol);
	printf("  files\n");
	for (size_t i = 0; i < img->n_files; i++)
		printf("    %-16s %10" PRIu64 "  sha256:%s\n", img->files[i].name,
		       img->files[i].size, img->files[i].sha256);
	printf("  packages\n");
	for (size_t i = 0; i < img->n_packages; i++)
		printf("    %-12s %-26s %s\n", img->packages[i].name, img->packages[i].version,
		       img->packages[i].licence);
}

static int run_inspect(int argc, char **argv, void *data)
{
	const struct inspect_options *o = data;
	_cleanup_guestimg_ struct guestimg *img = NULL;
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct error err = ERROR_INIT;

	if (guestimg_load(argv[0], &img, &err) < 0)
		return tool_fail(&err);
	if (!o->json) {
		print(argv[0], img);
		return 0;
	}
	guestimg_format(img, &text);
	fputs(buffer_cstr(&text), stdout);
	return 0;
}

static const struct option options[] = {
    {"json", 0, OPTION_FLAG, offsetof(struct inspect_options, json), NULL, NULL,
     "Print image.json, checked."},
    {NULL},
};

const struct verb verb_inspect = {
    .name = "inspect",
    .args = "DIR",
    .summary = "Says what an image is and what it was made of.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run_inspect,
    .data_size = sizeof(struct inspect_options),
};
