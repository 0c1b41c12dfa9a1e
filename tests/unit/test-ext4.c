/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/ext4: what e2fsck and debugfs say of the images, and the same bytes every time.
 * tests/image-formats.bats has the kernel compare them with their sources. */
#include "lib/ext4/ext4.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/process.h"
#include "lib/base/str.h"
#include "tests/erofs/golden.h"
#include "tests/unit/check.h"

static const struct ext4_write_opts plain = {
    .uuid = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, .label = "kihon"};

static int run(char *const *argv, struct buffer *out)
{
	struct error err = ERROR_INIT;
	_cleanup_buffer_ struct buffer errors = BUFFER_INIT;
	int status = 0;

	check_ok(process_run(argv, out, &errors, 16u << 20, &status, &err), &err);
	buffer_append(out, errors.data, errors.size);
	return process_exit_code(status);
}

static int new_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	check(fd >= 0);
	return fd;
}

/* 0: clean in e2fsck's eyes. */
static void check_clean(const char *path)
{
	char *argv[] = {"/usr/sbin/e2fsck", "-fn", (char *)path, NULL};
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;

	if (!fs_exists(argv[0]))
		check_skip("e2fsck is not installed");
	if (run(argv, &out) != 0)
		check_fail(__FILE__, __LINE__, "%s", buffer_cstr(&out));
}

static void debugfs(const char *path, const char *request, struct buffer *out)
{
	char *argv[] = {"/usr/sbin/debugfs", "-R", (char *)request, (char *)path, NULL};

	buffer_clear(out);
	if (!fs_exists(argv[0]))
		check_skip("debugfs is not installed");
	check_int(run(argv, out), 0);
}

static void check_has(const struct buffer *text, const char *words)
{
	if (!strstr(buffer_cstr(text), words))
		check_fail(__FILE__, __LINE__, "no \"%s\" in: %s", words, buffer_cstr(text));
}

static int convert(struct erofs_tree *tree, const char *path, const struct ext4_write_opts *opts,
                   struct ext4_write_stats *stats, struct error *err)
{
	_cleanup_free_ char *source = str_printf("%s/source", check_tmpdir());
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	_cleanup_close_ int from = new_file(source), to = new_file(path);
	struct erofs_write_opts erofs = EROFS_WRITE_OPTS_LAYER;

	check_ok(erofs_write_tree(tree, from, &erofs, NULL, err), err);
	check_ok(erofs_open_fd(&image, from, err), err);
	return ext4_write(image, to, opts, stats, err);
}

static void add(struct erofs_tree *tree, const char *path, uint32_t mode, const void *data,
                size_t size)
{
	const struct erofs_attr attr = {.mode = mode,
	                                .uid = 70000,
	                                .gid = 3,
	                                .rdev_major = 8,
	                                .rdev_minor = 300,
	                                .mtime = 5000000000,
	                                .mtime_ns = 123456789};
	struct erofs_node *node;
	struct error err = ERROR_INIT;

	check_ok(erofs_tree_add(tree, path, strlen(path), &attr, &node, &err), &err);
	if (size > 0)
		check_ok(erofs_node_set_memory(tree, node, data, size, &err), &err);
}

static void add_link(struct erofs_tree *tree, const char *path, const char *target)
{
	const struct erofs_attr attr = {.mode = S_IFLNK | 0777};
	struct error err = ERROR_INIT;

	check_ok(erofs_tree_add_symlink(tree, path, strlen(path), &attr, target, strlen(target),
	                                NULL, &err),
	         &err);
}

static char text[300000];

static struct erofs_tree *everything(void)
{
	static const struct erofs_xattr xattrs[] = {{"user.small", "value", 5},
	                                            {"security.capability", "\1\0\0\2", 4},
	                                            {"user.large", text, 3000}};
	struct erofs_tree *tree = NULL;
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26 + (i / 5000) % 7);
	check_ok(erofs_tree_new(&tree, NULL, &err), &err);
	add(tree, "d/e/file", S_IFREG | 04750, text, 10000);
	add(tree, "d/empty", S_IFREG | 0644, NULL, 0);
	add(tree, "large", S_IFREG | 0600, text, sizeof(text));
	add(tree, "block", S_IFBLK | 0660, NULL, 0);
	add(tree, "pipe", S_IFIFO | 0600, NULL, 0);
	add(tree, "socket", S_IFSOCK | 0600, NULL, 0);
	add(tree, ".hidden", S_IFDIR | 01777, NULL, 0);
	add_link(tree, "fast", "d/e/file");
	add_link(tree, "edge59", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefffffffff");
	add_link(tree, "edge60", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff");
	check_ok(erofs_tree_link(tree, "z-link", 6, "d/e/file", 8, &err), &err);
	check_ok(erofs_node_set_xattrs(tree, erofs_tree_find(tree, "large", 5), xattrs, 3, &err),
	         &err);
	check_ok(erofs_node_set_xattrs(tree, erofs_tree_find(tree, "d", 1), xattrs, 1, &err), &err);
	return tree;
}

TEST(every_type_of_file_as_debugfs_sees_it)
{
	_cleanup_erofs_tree_ struct erofs_tree *tree = everything();
	_cleanup_free_ char *path = str_printf("%s/out", check_tmpdir());
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	struct error err = ERROR_INIT;
	struct ext4_write_stats stats;
	struct stat st;

	check_ok(convert(tree, path, &plain, &stats, &err), &err);
	check_int(stat(path, &st), 0);
	check_int(st.st_size, stats.size);
	check_clean(path);
	debugfs(path, "stat d/e/file", &out);
	check_has(&out, "Type: regular    Mode:  04750");
	check_has(&out, "User: 70000   Group:     3");
	check_has(&out, "Links: 2");
	check_has(&out, "Size: 10000");
	check_has(&out, "mtime: 0x2a05f200:1d6f3455"); /* 5000000000 s, 123456789 ns */
	debugfs(path, "cat z-link", &out);
	check_int(out.size >= 10000, 1);
	check_mem(out.data, text, 10000);
	debugfs(path, "cat large", &out);
	check_mem(out.data, text, sizeof(text));
	debugfs(path, "stat block", &out);
	check_has(&out, "Device major/minor number: 08:300");
	debugfs(path, "stat fast", &out);
	check_has(&out, "Fast link dest: \"d/e/file\"");
	debugfs(path, "stat edge59", &out);
	check_has(&out, "fffffffff\"");
	debugfs(path, "stat edge60", &out);
	check_has(&out, "Size: 60");
	check_has(&out, "EXTENTS");
	debugfs(path, "ea_list large", &out);
	check_has(&out, "user.small (5) = \"value\"");
	check_has(&out, "security.capability (4)");
	check_has(&out, "user.large (3000)");
	debugfs(path, "ea_list d", &out);
	check_has(&out, "user.small");
	debugfs(path, "stat .hidden", &out);
	check_has(&out, "Type: directory    Mode:  01777");
}

/* The first and the last time that an inode holds, and what is beyond them. */
TEST(times_that_ext4_cannot_hold_are_the_nearest)
{
	static const struct {
		const char *name;
		int64_t time;
		const char *seen;
	} times[] = {
	    {"first", -2147483648, "mtime: 0x80000000:1d6f3454"},
	    {"earlier", -2147483649, "mtime: 0x80000000:00000000"},
	    {"least", INT64_MIN, "mtime: 0x80000000:00000000"},
	    {"last", 15032385535, "mtime: 0x7fffffff:1d6f3457"},
	    {"later", 15032385536, "mtime: 0x7fffffff:00000003"},
	    {"most", INT64_MAX, "mtime: 0x7fffffff:00000003"},
	};
	_cleanup_erofs_tree_ struct erofs_tree *tree = NULL;
	_cleanup_free_ char *path = str_printf("%s/out", check_tmpdir());
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	struct error err = ERROR_INIT;

	check_ok(erofs_tree_new(&tree, NULL, &err), &err);
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		const struct erofs_attr attr = {
		    .mode = S_IFREG | 0644, .mtime = times[i].time, .mtime_ns = 123456789};

		check_ok(
		    erofs_tree_add(tree, times[i].name, strlen(times[i].name), &attr, NULL, &err),
		    &err);
	}
	check_ok(convert(tree, path, &plain, NULL, &err), &err);
	check_clean(path);
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		_cleanup_free_ char *request = str_printf("stat %s", times[i].name);

		debugfs(path, request, &out);
		check_has(&out, times[i].seen);
	}
}

TEST(the_same_tree_is_the_same_bytes_and_the_journal_is_clean)
{
	_cleanup_erofs_tree_ struct erofs_tree *tree = everything();
	_cleanup_free_ char *one = str_printf("%s/one", check_tmpdir());
	_cleanup_free_ char *two = str_printf("%s/two", check_tmpdir());
	char *cmp[] = {"cmp", one, two, NULL};
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	struct ext4_write_opts opts = plain;
	struct error err = ERROR_INIT;

	opts.journal = true;
	check_ok(convert(tree, one, &opts, NULL, &err), &err);
	sleep(1);
	check_ok(convert(tree, two, &opts, NULL, &err), &err);
	if (run(cmp, &out) != 0)
		check_fail(__FILE__, __LINE__, "%s", buffer_cstr(&out));
	check_clean(one);
	debugfs(one, "stats -h", &out);
	check_has(&out, "has_journal");
	check_has(&out, "metadata_csum");
	check_has(&out, "01020304-0506-0708-090a-0b0c0d0e0f10");
	check(!strstr(buffer_cstr(&out), "needs_recovery"));
}

TEST(golden_trees_are_clean)
{
	struct error err = ERROR_INIT;

	for (const struct golden *g = goldens; g->name; g++) {
		_cleanup_free_ char *source = str_printf("%s/source", check_tmpdir());
		_cleanup_free_ char *path = str_printf("%s/out", check_tmpdir());
		_cleanup_erofs_image_ struct erofs_image *image = NULL;
		_cleanup_close_ int from = new_file(source), to = new_file(path);
		int r;

		check_ok(golden_write(g, from, &err), &err);
		check_ok(erofs_open_fd(&image, from, &err), &err);
		r = ext4_write(image, to, &plain, NULL, &err);
		/* Some hold xattrs that no ext4 block can. */
		if (r == -E2BIG && strstr(g->name, "xattrs"))
			continue;
		check_ok(r, &err);
		check_clean(path);
	}
}

/* More than a group of 128 MiB: the extents go on in a tree, which is behind the inode. */
TEST(a_file_of_many_groups)
{
	_cleanup_erofs_tree_ struct erofs_tree *tree = NULL;
	_cleanup_free_ char *big = str_printf("%s/big", check_tmpdir());
	_cleanup_free_ char *path = str_printf("%s/out", check_tmpdir());
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	const struct erofs_attr attr = {.mode = S_IFREG | 0644};
	const uint64_t size = 700ull << 20;
	_cleanup_close_ int fd = new_file(big);
	struct erofs_node *node;
	struct error err = ERROR_INIT;
	struct stat st;

	check_int(ftruncate(fd, (off_t)size), 0);
	check_int(fs_pwrite_all(fd, "end", 3, size - 3), 0);
	check_ok(erofs_tree_new(&tree, NULL, &err), &err);
	check_ok(erofs_tree_add(tree, "big", 3, &attr, &node, &err), &err);
	check_ok(erofs_node_set_path(tree, node, big, size, &err), &err);
	check_ok(convert(tree, path, &plain, NULL, &err), &err);
	check_clean(path);
	debugfs(path, "stat big", &out);
	check_has(&out, "Size: 734003200");
	check_int(stat(path, &st), 0);
	check(st.st_size < (off_t)(size + size / 32));
}

TEST(directories_of_many_blocks)
{
	_cleanup_erofs_tree_ struct erofs_tree *tree = NULL;
	_cleanup_free_ char *path = str_printf("%s/out", check_tmpdir());
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	struct error err = ERROR_INIT;
	char name[300];

	check_ok(erofs_tree_new(&tree, NULL, &err), &err);
	for (int i = 0; i < 20000; i++) {
		snprintf(
		    name, sizeof(name), "many/%05d%.*s", i, i % 250,
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
		add(tree, name, (i % 100 ? S_IFREG : S_IFDIR) | 0755, "x", i % 100 ? 1 : 0);
	}
	check_ok(convert(tree, path, &plain, NULL, &err), &err);
	check_clean(path);
	debugfs(path, "stat many", &out);
	check_has(&out, "Links: 202");
}

TEST(what_ext4_cannot_hold_is_named)
{
	_cleanup_erofs_tree_ struct erofs_tree *tree = everything();
	_cleanup_free_ char *path = str_printf("%s/out", check_tmpdir());
	const struct erofs_xattr large = {"user.huge", text, 5000};
	struct error err = ERROR_INIT;

	check_ok(erofs_node_add_xattr(tree, erofs_tree_find(tree, "pipe", 4), &large, &err), &err);
	check_int(convert(tree, path, &plain, NULL, &err), -E2BIG);
	check_int(err.kind, ERROR_INPUT);
	check(strstr(err.text, "/pipe: user.huge: "));
}

TEST_MAIN()
