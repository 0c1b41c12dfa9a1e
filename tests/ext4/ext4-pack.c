/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4-pack: lib/ext4 at the command line, for benchmarks and differential tests.
 *
 *	ext4-pack DIR IMAGE
 *
 * What is in DIR, owners and times as they are, becomes an ext4 image, by way of an EROFS image in
 *a file without a name beside it, as the image tool does it. Prints the entries and the image's
 *size.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/str.h"
#include "lib/erofs/fromdir.h"
#include "lib/erofs/writer.h"
#include "lib/ext4/ext4.h"

static int scratch(const char *image, int *fd, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s.erofs-XXXXXX", image);

	*fd = path ? mkstemp(path) : -1;
	if (*fd < 0)
		return error_errno(err, errno, "cannot write beside %s", image);
	unlink(path);
	return 0;
}

static int pack(const char *dir, const char *path, uint64_t *entries,
                struct ext4_write_stats *stats, struct error *err)
{
	static const struct erofs_write_opts erofs = EROFS_WRITE_OPTS_LAYER;
	const struct ext4_write_opts opts = {.uuid = {1}, .label = "test", .time = 1};
	const struct erofs_fromdir_opts from = {.skip_sockets = true};
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	_cleanup_erofs_tree_ struct erofs_tree *tree = NULL;
	_cleanup_close_ int source = -1, out = -1;
	int r = erofs_tree_new(&tree, NULL, err);

	if (r == 0)
		r = erofs_tree_from_dir(tree, dir, &from, err);
	if (r == 0)
		r = scratch(path, &source, err);
	if (r == 0)
		r = erofs_write_tree(tree, source, &erofs, NULL, err);
	if (r < 0)
		return r;
	*entries = erofs_tree_entries(tree);
	erofs_tree_free(steal_ptr(&tree));
	out = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0)
		return error_errno(err, errno, "cannot write %s", path);
	r = erofs_open_fd(&image, source, err);
	return r < 0 ? r : ext4_write(image, out, &opts, stats, err);
}

int main(int argc, char **argv)
{
	struct ext4_write_stats stats = {0};
	struct error err = ERROR_INIT;
	uint64_t entries = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: ext4-pack DIR IMAGE\n");
		return 2;
	}
	if (pack(argv[1], argv[2], &entries, &stats, &err) != 0) {
		fprintf(stderr, "ext4-pack: %s\n", err.text);
		return 1;
	}
	printf("%" PRIu64 " %" PRIu64 "\n", entries, stats.size);
	return 0;
}
