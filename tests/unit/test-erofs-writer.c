/* SPDX-License-Identifier: Apache-2.0 */
/* lib/erofs/writer: streaming, placement, sources that change, a full disk. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "lib/erofs/fromdir.h"
#include "lib/erofs/reader.h"
#include "lib/erofs/writer.h"
#include "tests/unit/check.h"

static const struct erofs_attr file = {.mode = S_IFREG | 0644};
static const struct erofs_write_opts layer = EROFS_WRITE_OPTS_LAYER;
static const struct erofs_write_opts image_opts = EROFS_WRITE_OPTS_IMAGE;

static struct error err;
static struct erofs_tree *tree;

static int new_file(void)
{
	int fd = open(check_tmpdir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	check(fd >= 0);
	erofs_tree_free(tree);
	check_ok(erofs_tree_new(&tree, NULL, &err), &err);
	return fd;
}

static struct erofs_node *add(const char *path)
{
	struct erofs_node *n;

	check_ok(erofs_tree_add(tree, path, strlen(path), &file, &n, &err), &err);
	return n;
}

/* Streams one file in pieces and puts it into the tree. */
static struct erofs_extent put(struct erofs_writer *w, const char *path, const char *text,
                               size_t times, bool known)
{
	size_t n = strlen(text);
	struct erofs_extent e;

	check_ok(erofs_writer_data_start(w, known ? n * times : EROFS_SIZE_UNKNOWN, &err), &err);
	for (size_t i = 0; i < times; i++)
		check_ok(erofs_writer_data(w, text, n, &err), &err);
	check_ok(erofs_writer_data_end(w, &e, &err), &err);
	check_int(e.size, n * times);
	check_ok(erofs_node_set_extent(tree, add(path), &e, &err), &err);
	return e;
}

static struct erofs_image *open_checked(int fd, struct erofs_check_result *result)
{
	struct erofs_image *image;

	check_ok(erofs_open_fd(&image, fd, &err), &err);
	check_ok(erofs_check(image, result, &err), &err);
	return image;
}

static void check_content(struct erofs_image *image, const char *path, const char *want,
                          uint64_t size, uint64_t at)
{
	struct erofs_stat st;
	char buf[64] = "";

	check_ok(erofs_lookup(image, path, strlen(path), &st, &err), &err);
	check_int(st.size, size);
	check_int(erofs_pread(image, &st, buf, strlen(want), at, &err), strlen(want));
	check_str(buf, want);
}

TEST(streaming)
{
	int fd = new_file();
	struct erofs_check_result result;
	struct erofs_write_stats stats;
	struct erofs_writer *w;
	struct erofs_image *image;
	struct erofs_extent e;

	check_ok(erofs_writer_begin(&w, fd, &layer, &err), &err);
	e = put(w, "a", "0123456789", 1, true);
	check_int(e.block, 1);
	e = put(w, "b", "abc", 5000, false);
	check_int(e.block, 2);
	e = put(w, "empty", "", 0, false);
	check_int(e.size, 0);
	/* Content of other kinds goes behind what was streamed. */
	check_ok(erofs_node_copy_memory(tree, add("m"), "memory", 6, &err), &err);
	check_ok(erofs_writer_finish(w, tree, &stats, &err), &err);
	check_int(erofs_writer_finish(w, tree, &stats, &err), -EINVAL);
	check_int(stats.inodes, 5);
	check_int(stats.data_bytes, 15016);
	erofs_writer_free(w);
	image = open_checked(fd, &result);
	check_int(result.file_bytes, 15016);
	check_content(image, "a", "0123456789", 10, 0);
	check_content(image, "b", "bcabc", 15000, 14995);
	check_content(image, "m", "memory", 6, 0);
	erofs_close(image);
	close(fd);
	erofs_tree_free(tree);
}

TEST(streaming_in_bad_order)
{
	int fd = new_file(), pipe_fds[2];
	struct erofs_writer *w;
	struct erofs_extent e;

	check(pipe(pipe_fds) == 0);
	check_int(erofs_writer_begin(&w, pipe_fds[1], &layer, &err), -EINVAL);
	check_ok(erofs_writer_begin(&w, fd, &layer, &err), &err);
	check_int(erofs_writer_data(w, "x", 1, &err), -EINVAL);
	check_int(erofs_writer_data_end(w, &e, &err), -EINVAL);
	check_ok(erofs_writer_data_abort(w, &err), &err);
	check_ok(erofs_writer_data_start(w, 3, &err), &err);
	check_int(erofs_writer_data_start(w, 3, &err), -EINVAL);
	check_int(erofs_writer_finish(w, tree, NULL, &err), -EINVAL);
	check_int(erofs_writer_data(w, "four", 4, &err), -EFBIG);
	check_ok(erofs_writer_data(w, "to", 2, &err), &err);
	check_int(erofs_writer_data_end(w, &e, &err), -ENODATA);
	check_int(erofs_writer_data_zeros(w, UINT64_MAX - 1, &err), -EFBIG);
	check_ok(erofs_writer_data_abort(w, &err), &err);
	check_ok(erofs_writer_data_start(w, EROFS_SIZE_UNKNOWN, &err), &err);
	check_int(erofs_writer_data_zeros(w, 1ull << 44, &err), -EFBIG);
	check_int(erofs_writer_data_zeros(w, UINT64_MAX, &err), -EFBIG);
	check_ok(erofs_writer_data_abort(w, &err), &err);
	/* An extent that nobody wrote. */
	e = (struct erofs_extent){7, 1};
	check_ok(erofs_node_set_extent(tree, add("f"), &e, &err), &err);
	check_int(erofs_writer_finish(w, tree, NULL, &err), -EINVAL);
	erofs_writer_free(w);
	close(fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	erofs_tree_free(tree);
}

TEST(aborted_content_leaves_nothing)
{
	int fd = new_file();
	static char junk[300000];
	struct erofs_check_result result;
	struct erofs_writer *w;
	struct erofs_image *image;
	struct erofs_extent e;

	memset(junk, 'J', sizeof(junk));
	check_ok(erofs_writer_begin(&w, fd, &layer, &err), &err);
	put(w, "before", "kept", 1, true);
	/* Once what is still in the buffer, once what was written already. */
	for (size_t n = 1000; n <= sizeof(junk); n += sizeof(junk) - 1000) {
		check_ok(erofs_writer_data_start(w, EROFS_SIZE_UNKNOWN, &err), &err);
		check_ok(erofs_writer_data(w, junk, n, &err), &err);
		check_ok(erofs_writer_data_abort(w, &err), &err);
	}
	check_ok(erofs_writer_data_start(w, EROFS_SIZE_UNKNOWN, &err), &err);
	check_ok(erofs_writer_data_zeros(w, 200000, &err), &err);
	check_ok(erofs_writer_data(w, "end", 3, &err), &err);
	check_ok(erofs_writer_data_end(w, &e, &err), &err);
	check_ok(erofs_node_set_extent(tree, add("sparse"), &e, &err), &err);
	check_ok(erofs_writer_finish(w, tree, NULL, &err), &err);
	erofs_writer_free(w);
	image = open_checked(fd, &result);
	check_content(image, "before", "kept", 4, 0);
	check_content(image, "sparse", "end", 200003, 200000);
	for (uint64_t at = 0; at < 200000; at += 999) {
		struct erofs_stat st;
		char c = 1;

		check_ok(erofs_lookup(image, "sparse", 6, &st, &err), &err);
		check_int(erofs_pread(image, &st, &c, 1, at, &err), 1);
		check_int(c, 0);
	}
	erofs_close(image);
	close(fd);
	erofs_tree_free(tree);
}

TEST(replaced_content_is_given_back)
{
	int fd = new_file();
	struct erofs_check_result result;
	struct erofs_writer *w;
	struct erofs_image *image;
	struct erofs_extent e[3];
	char byte;

	check_ok(erofs_writer_begin(&w, fd, &layer, &err), &err);
	e[0] = put(w, "f", "old", 100000, true);
	e[1] = put(w, "g", "linked", 1, true);
	check_ok(erofs_tree_link(tree, "h", 1, "g", 1, &err), &err);
	e[2] = put(w, "g", "other", 1, true);
	put(w, "f", "new", 1, true);
	check_ok(erofs_writer_finish(w, tree, NULL, &err), &err);
	erofs_writer_free(w);
	image = open_checked(fd, &result);
	check_int(result.files, 3);
	check_content(image, "f", "new", 3, 0);
	check_content(image, "g", "other", 5, 0);
	check_content(image, "h", "linked", 6, 0);
	check(pread(fd, &byte, 1, (off_t)e[0].block * EROFS_BLOCK_SIZE + 5000) == 1 && !byte);
	check(pread(fd, &byte, 1, (off_t)e[1].block * EROFS_BLOCK_SIZE) == 1 && byte == 'l');
	erofs_close(image);
	close(fd);
	erofs_tree_free(tree);
}

TEST(a_file_of_more_than_4_gib)
{
	int fd = new_file();
	const uint64_t size = (5ull << 30) + 5;
	struct erofs_check_result result;
	struct erofs_writer *w;
	struct erofs_image *image;
	struct erofs_extent e;
	struct erofs_stat st;

	check_ok(erofs_writer_begin(&w, fd, &image_opts, &err), &err);
	check_ok(erofs_writer_data_start(w, size, &err), &err);
	check_ok(erofs_writer_data_zeros(w, size - 3, &err), &err);
	check_ok(erofs_writer_data(w, "end", 3, &err), &err);
	check_ok(erofs_writer_data_end(w, &e, &err), &err);
	check_ok(erofs_node_set_extent(tree, add("large"), &e, &err), &err);
	put(w, "small", "s", 1, true);
	check_ok(erofs_writer_finish(w, tree, NULL, &err), &err);
	erofs_writer_free(w);
	image = open_checked(fd, &result);
	check_int(result.huge_files_aligned, 1);
	check_content(image, "large", "end", size, size - 3);
	check_ok(erofs_lookup(image, "large", 5, &st, &err), &err);
	check(st.extended);
	check_content(image, "small", "s", 1, 0);
	erofs_close(image);
	close(fd);
	erofs_tree_free(tree);
}

/* Each file of 2 MiB + 4 KiB leaves a gap before the next boundary. */
TEST(gaps_are_filled)
{
	int fd = new_file();
	static uint8_t zeros[(2u << 20) + 4096];
	struct erofs_check_result result;
	struct erofs_write_stats stats;
	struct erofs_image *image;
	char path[32];

	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "huge%d", i);
		check_ok(erofs_node_set_memory(tree, add(path), zeros, sizeof(zeros), &err), &err);
	}
	for (int i = 0; i < 6; i++) {
		snprintf(path, sizeof(path), "small%d", i);
		check_ok(erofs_node_set_memory(tree, add(path), zeros, (1u << 20) - 4096, &err),
		         &err);
	}
	check_ok(erofs_write_tree(tree, fd, &image_opts, &stats, &err), &err);
	/* 2 MiB with the metadata and a small one; 4 for each huge one, whose gap takes two
	 * small ones; the last ends in a ninth pair of MiB. */
	check_int(stats.size, 18u << 20);
	image = open_checked(fd, &result);
	check_int(result.huge_files, 4);
	check_int(result.huge_files_aligned, 4);
	erofs_close(image);
	close(fd);
	erofs_tree_free(tree);
}

static void write_host_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

TEST(sources_that_change)
{
	int fd = new_file();
	char path[200];
	struct stat st;

	snprintf(path, sizeof(path), "%s/source", check_tmpdir());
	write_host_file(path, "12345");
	for (int i = 0; i < 5; i++) {
		static const uint64_t sizes[] = {5, 4, 6, 0, 3000000};
		static const int want[] = {0, -ESTALE, -ESTALE, 0, -ESTALE};

		check_ok(erofs_node_set_path(tree, add("f"), path, sizes[i], &err), &err);
		check_int(erofs_write_tree(tree, fd, &image_opts, NULL, &err), want[i]);
	}
	check(strstr(err.text, path) && strstr(err.text, "changed"));
	check(unlink(path) == 0 && mkfifo(path, 0600) == 0);
	check_ok(erofs_node_set_path(tree, add("f"), path, 5, &err), &err);
	check_int(erofs_write_tree(tree, fd, &image_opts, NULL, &err), -ESTALE);
	check(unlink(path) == 0);
	check_int(erofs_write_tree(tree, fd, &image_opts, NULL, &err), -ENOENT);
	check(strstr(err.text, path));
	check(fstat(fd, &st) == 0);
	close(fd);
	erofs_tree_free(tree);
}

TEST(a_folder_swapped_for_a_link)
{
	int fd = new_file();
	const struct erofs_fromdir_opts opts = {0};
	char top[160], dir[200], name[240], other[200];

	snprintf(top, sizeof(top), "%s/top", check_tmpdir());
	snprintf(dir, sizeof(dir), "%s/dir", top);
	snprintf(name, sizeof(name), "%s/file", dir);
	snprintf(other, sizeof(other), "%s/other", check_tmpdir());
	check(mkdir(top, 0755) == 0 && mkdir(dir, 0755) == 0);
	write_host_file(name, "12345");
	check_ok(erofs_tree_from_dir(tree, top, &opts, &err), &err);
	check_ok(erofs_write_tree(tree, fd, &image_opts, NULL, &err), &err);
	/* The same name, reached through a link: not what was asked for. */
	check(rename(dir, other) == 0 && symlink("../other", dir) == 0);
	check(erofs_write_tree(tree, fd, &image_opts, NULL, &err) < 0);
	close(fd);
	erofs_tree_free(tree);
}

TEST(no_room)
{
	int fd = new_file();
	struct rlimit limit = {1u << 20, 1u << 20};
	struct erofs_write_opts opts = layer;
	static uint8_t data[2u << 20];

	signal(SIGXFSZ, SIG_IGN);
	check(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	check_ok(erofs_node_set_memory(tree, add("f"), data, sizeof(data), &err), &err);
	check_int(erofs_write_tree(tree, fd, &opts, NULL, &err), -EFBIG);
	check(*err.text && err.kind == ERROR_ENVIRONMENT);
	opts.build_time_ns = 1000000000;
	check_int(erofs_write_tree(tree, fd, &opts, NULL, &err), -EINVAL);
	close(fd);
	erofs_tree_free(tree);
}

TEST(streaming_fills_the_room_before_aligned_files)
{
	static const struct erofs_write_opts opts = {.flags = EROFS_WRITE_HUGE | EROFS_WRITE_TIGHT};
	static char huge[EROFS_HUGE_SIZE + 1];
	_cleanup_close_ int fd = new_file();
	_cleanup_erofs_writer_ struct erofs_writer *w = NULL;
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	struct erofs_check_result result;
	struct erofs_write_stats stats;
	struct erofs_extent a, b, c;

	memset(huge, 'h', sizeof(huge) - 1);
	check_ok(erofs_writer_begin(&w, fd, &opts, &err), &err);
	a = put(w, "small", "x", 1, true);
	b = put(w, "huge", huge, 1, true);
	check_int(b.block % (EROFS_HUGE_SIZE / EROFS_BLOCK_SIZE), 0);
	/* Behind the first one, before the large one. */
	c = put(w, "second", "0123456789abcdef", 600, true);
	check_int(c.block, a.block + 1);
	/* What is given up in between leaves its room, as zeros. */
	check_ok(erofs_writer_data_start(w, 5000, &err), &err);
	check_ok(erofs_writer_data(w, huge, 5000, &err), &err);
	check_ok(erofs_writer_data_abort(w, &err), &err);
	check_ok(erofs_writer_data_start(w, 5000, &err), &err);
	check_ok(erofs_writer_data_zeros(w, 5000, &err), &err);
	check_ok(erofs_writer_data_end(w, &c, &err), &err);
	check_int(c.block, a.block + 4);
	check_ok(erofs_node_set_extent(tree, add("zeros"), &c, &err), &err);
	/* Too large for the room, and of a size that nobody knew. */
	c = put(w, "large", huge, 1, false);
	check(c.block > b.block);
	check_ok(erofs_writer_finish(w, tree, &stats, &err), &err);
	check(stats.size % EROFS_HUGE_SIZE); /* tight */
	image = open_checked(fd, &result);
	check_int(result.huge_files_aligned, 2);
	{
		static const char none[5000];
		char got[5000];
		struct erofs_stat st;

		check_ok(erofs_lookup(image, "zeros", 5, &st, &err), &err);
		check_int(erofs_pread(image, &st, got, sizeof(got), 0, &err), sizeof(got));
		check(!memcmp(got, none, sizeof(got)));
	}
}

TEST_MAIN()
