/* SPDX-License-Identifier: Apache-2.0 */
/* golden: trees made from constants only. */
#include "tests/erofs/golden.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define BUILD_TIME 1700000000

static const struct erofs_attr folder = {.mode = S_IFDIR | 0755, .mtime = BUILD_TIME};
static const struct erofs_attr file = {.mode = S_IFREG | 0644, .mtime = BUILD_TIME};
static const struct erofs_attr symlink_attr = {.mode = 0777, .mtime = BUILD_TIME};

/* Large enough for the largest file below, and no two blocks of it are alike. */
static uint8_t content[(4u << 20) + 1];

static void fill_content(void)
{
	uint32_t v = 1;

	for (size_t i = 0; i < sizeof(content); i++) {
		v = v * 1664525 + 1013904223;
		content[i] = (uint8_t)(v >> 24);
	}
}

static int add(struct erofs_tree *t, const char *path, const struct erofs_attr *attr, size_t size,
               struct erofs_node **out, struct error *err)
{
	struct erofs_node *node;
	int r = erofs_tree_add(t, path, strlen(path), attr, &node, err);

	if (r == 0 && S_ISREG(attr->mode))
		r = erofs_node_set_memory(t, node, content, size, err);
	if (out)
		*out = node;
	return r;
}

static int add_link(struct erofs_tree *t, const char *path, const char *target, struct error *err)
{
	return erofs_tree_add_symlink(t, path, strlen(path), &symlink_attr, target, strlen(target),
	                              NULL, err);
}

static int empty(struct erofs_tree *t, struct error *err)
{
	return 0;
}

/* Every type of file, both inode sizes, names that only bytes can have. */
static int types(struct erofs_tree *t, struct error *err)
{
	static const struct {
		const char *path;
		struct erofs_attr attr;
		size_t size;
	} files[] = {
	    {"bin", {.mode = S_IFDIR | 0755, .mtime = BUILD_TIME}, 0},
	    {"bin/true", {.mode = S_IFREG | 0755, .mtime = BUILD_TIME}, 5000},
	    {"bin/su", {.mode = S_IFREG | 04755, .mtime = BUILD_TIME}, 4096},
	    {"empty", {.mode = S_IFREG | 0400, .mtime = BUILD_TIME}, 0},
	    {"tmp", {.mode = S_IFDIR | 01777, .mtime = BUILD_TIME}, 0},
	    {"old", {.mode = S_IFREG | 0644, .mtime = -1, .mtime_ns = 999999999}, 1},
	    {"far", {.mode = S_IFREG | 0644, .mtime = 5000000000, .mtime_ns = 1}, 1},
	    {"owned",
	     {.mode = S_IFREG | 0600, .uid = 65536, .gid = 4294967294, .mtime = BUILD_TIME},
	     7},
	    {"owned16",
	     {.mode = S_IFREG | 0600, .uid = 65535, .gid = 65535, .mtime = BUILD_TIME},
	     7},
	    {"dev/null",
	     {.mode = S_IFCHR | 0666, .rdev_major = 1, .rdev_minor = 3, .mtime = BUILD_TIME},
	     0},
	    {"dev/large",
	     {.mode = S_IFBLK | 0660,
	      .rdev_major = 4095,
	      .rdev_minor = 1048575,
	      .mtime = BUILD_TIME},
	     0},
	    {"dev/whiteout", {.mode = S_IFCHR, .mtime = BUILD_TIME}, 0},
	    {"dev/fifo", {.mode = S_IFIFO | 0600, .mtime = BUILD_TIME}, 0},
	    {"dev/socket", {.mode = S_IFSOCK | 0700, .mtime = BUILD_TIME}, 0},
	    {"names/!before-dot", {.mode = S_IFREG | 0644, .mtime = BUILD_TIME}, 2},
	    {"names/.-between-dots", {.mode = S_IFREG | 0644, .mtime = BUILD_TIME}, 3},
	    {"names/...", {.mode = S_IFREG | 0644, .mtime = BUILD_TIME}, 4},
	    {"names/\xff\xfe\x01", {.mode = S_IFREG | 0644, .mtime = BUILD_TIME}, 5},
	    {"names/line\nfeed", {.mode = S_IFREG | 0644, .mtime = BUILD_TIME}, 6},
	};
	char longest[256 + 8] = "names/";
	int r = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && r == 0; i++)
		r = add(t, files[i].path, &files[i].attr, files[i].size, NULL, err);
	memset(longest + 6, 'n', EROFS_NAME_MAX);
	if (r == 0)
		r = add(t, longest, &file, 8, NULL, err);
	for (size_t i = 0; i < 3 && r == 0; i++) {
		static const char *const links[][2] = {
		    {"bin/false", "bin/true"}, {"hard", "bin/true"}, {"null", "dev/null"}};

		r = erofs_tree_link(t, links[i][0], strlen(links[i][0]), links[i][1],
		                    strlen(links[i][1]), err);
	}
	memset(longest, 't', sizeof(longest) - 1);
	if (r == 0)
		r = add_link(t, "names/to-nowhere", longest, err);
	if (r == 0)
		r = add_link(t, "sbin", "bin", err);
	return r < 0 ? r : add_link(t, "usr/bin", "bin", err);
}

/* Inline and shared, a value of many blocks, equal sets, all name spaces. */
static int xattrs(struct erofs_tree *t, struct error *err)
{
	static const struct erofs_xattr one[] = {
	    {"user.only-here", "x", 1},
	    {"user.large", content, 65535},
	    {"user.empty", "", 0},
	};
	static const uint8_t acl[] = {2, 0,   0,   0,   1,   0,  6, 0, 255, 255, 255, 255, 4,  0, 4,
	                              0, 255, 255, 255, 255, 32, 0, 4, 0,   255, 255, 255, 255};
	static const uint8_t capability[20] = {1, 0, 0, 2, 0, 4};
	static const struct erofs_xattr many[] = {
	    {"security.capability", capability, sizeof(capability)},
	    {"system.posix_acl_access", acl, sizeof(acl)},
	    {"trusted.overlay.opaque", "y", 1},
	    {"user.shared", "the same on many files", 22},
	};
	struct erofs_node *node;
	char path[32];
	int r = add(t, "one", &file, 10, &node, err);

	if (r == 0)
		r = erofs_node_set_xattrs(t, node, one, 3, err);
	for (int i = 0; i < 300 && r == 0; i++) {
		snprintf(path, sizeof(path), "many/%d", i);
		r = add(t, path, &file, 0, &node, err);
		if (r == 0)
			r = erofs_node_set_xattrs(t, node, many, i % 5 ? 4 : 1, err);
		/* Beside the shared ones, one of its own. */
		if (r == 0 && i % 7 == 0)
			r = erofs_node_add_xattr(
			    t, node, &(struct erofs_xattr){"user.path", path, strlen(path)}, err);
	}
	if (r == 0)
		r = add(t, "opaque", &folder, 0, &node, err);
	if (r == 0)
		r = erofs_node_add_xattr(t, node, &many[2], err);
	return r < 0 ? r : erofs_node_add_xattr(t, erofs_tree_root(t), &many[3], err);
}

/* A directory of many blocks, added out of order; deep ones. */
static int folders(struct erofs_tree *t, struct error *err)
{
	char path[1024] = "";
	int r = 0;

	for (int i = 0; i < 3000 && r == 0; i++) {
		snprintf(path, sizeof(path), "large/%d-%.*s", i * 7919 % 3000, i % 97,
		         "a-name-that-goes-on-for-some-time-so-that-blocks-of-the-directory-hold-"
		         "different-numbers-of-them");
		r = add(t, path, &file, 0, NULL, err);
	}
	path[0] = '\0';
	for (int i = 0; i < 200 && r == 0; i++) {
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "%sd%d", i ? "/" : "",
		         i);
		r = add(t, path, &folder, 0, NULL, err);
	}
	return r;
}

/* Files of 2 MiB and more, and small ones that go into the gaps between. */
static int huge(struct erofs_tree *t, struct error *err)
{
	static const size_t sizes[] = {2u << 20, (2u << 20) - 1, (2u << 20) + 1, (4u << 20) + 1};
	char path[32];
	int r = 0;

	for (size_t i = 0; i < 4 && r == 0; i++) {
		snprintf(path, sizeof(path), "large-%zu", i);
		r = add(t, path, &file, sizes[i], NULL, err);
	}
	for (size_t i = 0; i < 200 && r == 0; i++) {
		snprintf(path, sizeof(path), "small/%zu", i);
		r = add(t, path, &file, i * 100, NULL, err);
	}
	return r;
}

const struct golden goldens[] = {
    {"empty", "387ffdf92647660a98208ce2982e554b7f42122b3cd4a85208419dcfc1ff3997", EROFS_WRITE_HUGE,
     empty},
    {"empty-layer", "e49f985f335c47112d9146375e99f05169974c4ed825cdef6744f854df80292d",
     EROFS_WRITE_INLINE_META, empty},
    {"types", "1c4faa0447d4ce0a6ef9f89dd6a025ff117b5320f465f213d62aad7609ba8595", EROFS_WRITE_HUGE,
     types},
    {"types-layer", "3ea865bb314131d59ce63f7f1269503dcaaf60c029240bdc25faca4e2f78b163",
     EROFS_WRITE_INLINE_META, types},
    {"xattrs", "ed3fa1a9f455189e3c61c02c495c34b0169b7edc75e1675a86ef9491ecb2983f", EROFS_WRITE_HUGE,
     xattrs},
    {"xattrs-layer", "9f820efd4cd18e0c1d644ae65d87798c180c8747958b95c858d54f62e11f1c0d",
     EROFS_WRITE_INLINE_META, xattrs},
    {"folders", "91d05b9c1e7de6720079c1572eb3fcfe75791dda139ed6e8e666092813d8440f",
     EROFS_WRITE_HUGE, folders},
    {"folders-layer", "2faa349fdad67a97009bd43b92395f110d4e33a308201998315dcbb429d1c745",
     EROFS_WRITE_INLINE_META, folders},
    {"huge", "5689a14e5d26a799a0a9489c59dd4ffa882d5f3fc27a62d44e0d62a077d02a57", EROFS_WRITE_HUGE,
     huge},
    {"huge-layer", "0db982ba6029e21c7a3c37750e0d9bc2df1243d05ec3520ad74ca4a342a16eb8",
     EROFS_WRITE_INLINE_META, huge},
    {NULL},
};

const struct golden *golden_find(const char *name)
{
	for (const struct golden *g = goldens; g->name; g++)
		if (strcmp(g->name, name) == 0)
			return g;
	return NULL;
}

int golden_write(const struct golden *g, int fd, struct error *err)
{
	const struct erofs_write_opts opts = {
	    .flags = g->flags,
	    .uuid = {0x6b, 0x69, 0x68, 0x6f, 0x6e, 0, 0x40, 0, 0x80, 1, 2, 3, 4, 5, 6, 7},
	    .volume_name = "golden",
	    .build_time = BUILD_TIME,
	};
	_cleanup_erofs_tree_ struct erofs_tree *tree = NULL;
	int r;

	fill_content();
	r = erofs_tree_new(&tree, &folder, err);
	if (r == 0)
		r = g->build(tree, err);
	return r < 0 ? r : erofs_write_tree(tree, fd, &opts, NULL, err);
}
