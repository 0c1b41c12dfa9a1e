/* SPDX-License-Identifier: Apache-2.0 */
/*
 * erofs-pack: lib/erofs at the command line, for benchmarks and differential tests.
 *
 *	erofs-pack [--layer] [--all-root] [--mtime SECONDS] [--compress HOW] [--blocks N]
 *	           [--hot PATH]... DIR IMAGE
 *	erofs-pack --golden NAME IMAGE
 *	erofs-pack --list IMAGE
 *	erofs-pack --extract IMAGE DIR
 *
 * --list checks an image and prints a line a path: PATH TYPE MODE UID GID SIZE MTIME LINKS
 * SUM, as find(1) would; SIZE and LINKS are 0 for directories, SUM is of all content bytes.
 * --extract checks an image and writes its directories and regular files below DIR, by
 * pieces of an odd size. --blocks is how many a cluster may have.
 * --layer streams every file's content through the writer as kihon-pull does. Prints the
 * entries, the image's size, and the most anonymous memory used (KiB).
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/erofs/fromdir.h"
#include "lib/erofs/reader.h"
#include "lib/erofs/writer.h"
#include "tests/erofs/golden.h"

static int fail(const struct error *err)
{
	fprintf(stderr, "erofs-pack: %s\n", err->text);
	return 1;
}

/* Reads each file by its path and hands the bytes to the writer in odd pieces. */
static int stream(struct erofs_tree *tree, const char *dir, struct erofs_writer *w,
                  struct error *err)
{
	static uint8_t buf[50000];
	char path[8192];
	int r;

	for (struct erofs_entry *e = NULL; (e = erofs_tree_walk(tree, e)) != NULL;) {
		struct erofs_node *node = erofs_entry_node(e);
		struct erofs_extent extent;
		struct erofs_attr attr;
		_cleanup_close_ int fd = -1;
		ssize_t n;

		erofs_node_attr(node, &attr);
		if ((attr.mode & S_IFMT) != S_IFREG)
			continue;
		n = snprintf(path, sizeof(path), "%s/", dir);
		if (erofs_entry_path(e, path + n, sizeof(path) - (size_t)n) < 0)
			return error_set(err, ENAMETOOLONG, "path too long");
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return error_errno(err, errno, "cannot open %s", path);
		r = erofs_writer_data_start(w, EROFS_SIZE_UNKNOWN, err);
		while (r == 0 && (n = read(fd, buf, sizeof(buf))) > 0)
			r = erofs_writer_data(w, buf, (size_t)n, err);
		if (r == 0)
			r = erofs_writer_data_end(w, &extent, err);
		if (r == 0)
			r = erofs_node_set_extent(tree, node, &extent, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_golden(const char *name, const char *path)
{
	const struct golden *g = golden_find(name);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	struct error err = ERROR_INIT;

	if (!g || fd < 0) {
		fprintf(stderr, "erofs-pack: %s or %s: %s\n", name, path, strerror(errno));
		return 1;
	}
	return golden_write(g, fd, &err) < 0 ? fail(&err) : 0;
}

static int list_one(const char *path, const struct erofs_stat *st, void *data)
{
	static const char types[16] = "?pc?d?b?f?l?s???";
	struct erofs_image *image = data;
	bool dir = S_ISDIR(st->mode);
	static uint8_t buf[65536];
	uint64_t sum = 0, at = 0;
	ssize_t n = 1;

	while ((S_ISREG(st->mode) || S_ISLNK(st->mode)) && n > 0) {
		n = erofs_pread(image, st, buf, sizeof(buf), at, NULL);
		for (ssize_t i = 0; i < n; i++)
			sum += buf[i];
		at += n > 0 ? (uint64_t)n : 0;
	}
	printf("%s %c %o %u %u %" PRIu64 " %" PRId64 ".%09u0 %u %" PRIu64 "\n", path,
	       types[st->mode >> 12 & 15], st->mode & 07777, st->uid, st->gid, dir ? 0 : st->size,
	       st->mtime, st->mtime_ns, dir ? 0 : st->nlink, sum);
	return n < 0 ? (int)n : 0;
}

static int list(const char *path)
{
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct error err = ERROR_INIT;

	if (fd < 0) {
		perror(path);
		return 1;
	}
	if (erofs_open_fd(&image, fd, &err) < 0 || erofs_check(image, NULL, &err) < 0 ||
	    erofs_walk(image, list_one, image, &err) < 0)
		return fail(&err);
	return 0;
}

struct extract {
	struct erofs_image *image;
	const char *dir;
	struct error *err;
};

static int extract_one(const char *path, const struct erofs_stat *st, void *data)
{
	const struct extract *x = data;
	_cleanup_free_ char *to = NULL;
	_cleanup_close_ int fd = -1;
	static uint8_t buf[77777];
	uint64_t at = 0;
	ssize_t n;

	if (asprintf(&to, "%s/%s", x->dir, path) < 0)
		return error_set(x->err, ENOMEM, "no memory");
	if (S_ISDIR(st->mode) && mkdir(to, 0777) < 0 && errno != EEXIST)
		return error_errno(x->err, errno, "cannot make %s", to);
	if (!S_ISREG(st->mode))
		return 0;
	fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return error_errno(x->err, errno, "cannot make %s", to);
	while ((n = erofs_pread(x->image, st, buf, sizeof(buf), at, x->err)) > 0) {
		if (write(fd, buf, (size_t)n) != n)
			return error_errno(x->err, errno, "cannot write %s", to);
		at += (uint64_t)n;
	}
	return (int)n;
}

static int extract(const char *path, const char *dir)
{
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct error err = ERROR_INIT;
	struct extract x = {NULL, dir, &err};

	if (fd < 0) {
		perror(path);
		return 1;
	}
	if (erofs_open_fd(&image, fd, &err) < 0 || erofs_check(image, NULL, &err) < 0)
		return fail(&err);
	x.image = image;
	return erofs_walk(image, extract_one, &x, &err) < 0 ? fail(&err) : 0;
}

static int set_hot(struct erofs_tree *tree, const char *path)
{
	struct erofs_node *node = erofs_tree_find(tree, path, strlen(path));

	if (!node) {
		fprintf(stderr, "erofs-pack: no %s in the tree\n", path);
		return 1;
	}
	erofs_node_set_hot(node);
	return 0;
}

int main(int argc, char **argv)
{
	_cleanup_erofs_tree_ struct erofs_tree *tree = NULL;
	_cleanup_erofs_writer_ struct erofs_writer *w = NULL;
	_cleanup_close_ int fd = -1;
	struct erofs_fromdir_opts from = {0};
	struct erofs_write_opts image = EROFS_WRITE_OPTS_IMAGE, layer = EROFS_WRITE_OPTS_LAYER;
	struct erofs_write_opts *opts = &image;
	struct erofs_write_stats stats;
	struct error err = ERROR_INIT;
	const char *hot[16];
	size_t n_hot = 0;
	struct rusage ru;
	int i = 1;

	if (argc == 4 && strcmp(argv[1], "--golden") == 0)
		return write_golden(argv[2], argv[3]);
	if (argc == 3 && strcmp(argv[1], "--list") == 0)
		return list(argv[2]);
	if (argc == 4 && strcmp(argv[1], "--extract") == 0)
		return extract(argv[2], argv[3]);
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--layer") == 0) {
			opts = &layer;
		} else if (strcmp(argv[i], "--all-root") == 0) {
			from.all_root = true;
		} else if (strcmp(argv[i], "--mtime") == 0 && i + 1 < argc) {
			from.set_mtime = true;
			from.mtime = strtoll(argv[++i], NULL, 10);
			image.build_time = layer.build_time = from.mtime;
		} else if (strcmp(argv[i], "--compress") == 0 && i + 1 < argc) {
			if (erofs_compression_parse(argv[++i], &image.compression, &err) < 0)
				return fail(&err);
		} else if (strcmp(argv[i], "--blocks") == 0 && i + 1 < argc) {
			image.compression.cluster_blocks = (uint32_t)atoi(argv[++i]);
		} else if (strcmp(argv[i], "--hot") == 0 && i + 1 < argc && n_hot < 16) {
			hot[n_hot++] = argv[++i];
		} else {
			break;
		}
	}
	if (argc - i != 2) {
		fprintf(stderr, "usage: erofs-pack [--layer] [--all-root] [--mtime SECONDS] "
		                "[--compress HOW] [--blocks N] [--hot PATH]... DIR IMAGE\n"
		                "       erofs-pack --golden NAME IMAGE\n"
		                "       erofs-pack --list IMAGE\n"
		                "       erofs-pack --extract IMAGE DIR\n");
		return 2;
	}
	fd = open(argv[i + 1], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0) {
		perror(argv[i + 1]);
		return 1;
	}
	if (erofs_tree_new(&tree, NULL, &err) < 0 ||
	    erofs_tree_from_dir(tree, argv[i], &from, &err) < 0 ||
	    erofs_writer_begin(&w, fd, opts, &err) < 0)
		return fail(&err);
	for (size_t k = 0; k < n_hot; k++)
		if (set_hot(tree, hot[k]))
			return 1;
	if (opts == &layer && stream(tree, argv[i], w, &err) < 0)
		return fail(&err);
	if (erofs_writer_finish(w, tree, &stats, &err) < 0)
		return fail(&err);
	getrusage(RUSAGE_SELF, &ru);
	printf("%" PRIu64 " entries, %" PRIu64 " bytes, %" PRIu64 " metadata, %ld KiB memory, %zu "
	       "tree\n",
	       erofs_tree_entries(tree), stats.size, stats.meta_bytes, ru.ru_maxrss,
	       erofs_tree_memory(tree));
	if (image.compression.compressor)
		printf("%" PRIu64 " files packed, %" PRIu64 " bytes in %" PRIu64 "\n",
		       stats.packed_files, stats.packed_from, stats.packed_bytes);
	return 0;
}
