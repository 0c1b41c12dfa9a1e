/* SPDX-License-Identifier: Apache-2.0 */
/* lib/erofs/tree: what replaces what, hard links, order, limits, memory. */
#include <sys/stat.h>

#include "lib/erofs/tree.h"
#include "tests/unit/check.h"

static const struct erofs_attr folder = {.mode = S_IFDIR | 0755, .uid = 1};
static const struct erofs_attr file = {.mode = S_IFREG | 0644, .gid = 2};

static struct error err;

static struct erofs_tree *new_tree(void)
{
	struct erofs_tree *t;

	check_ok(erofs_tree_new(&t, NULL, &err), &err);
	return t;
}

static struct erofs_node *add(struct erofs_tree *t, const char *path, const struct erofs_attr *attr)
{
	struct erofs_node *n;

	check_ok(erofs_tree_add(t, path, strlen(path), attr, &n, &err), &err);
	return n;
}

static int add_fails(struct erofs_tree *t, const char *path, size_t len)
{
	int r = erofs_tree_add(t, path, len, &file, NULL, &err);

	check(r < 0 && err.code == r && *err.text && !strchr(err.text, '\n'));
	return r;
}

static struct erofs_node *find(struct erofs_tree *t, const char *path)
{
	return erofs_tree_find(t, path, strlen(path));
}

static int link_to(struct erofs_tree *t, const char *path, const char *target)
{
	return erofs_tree_link(t, path, strlen(path), target, strlen(target), &err);
}

/* All paths, in order, each followed by a blank. */
static const char *list(struct erofs_tree *t)
{
	static char out[8192];
	char path[EROFS_PATH_MAX + 1];
	size_t used = 0;

	out[0] = '\0';
	for (struct erofs_entry *e = NULL; (e = erofs_tree_walk(t, e)) != NULL;) {
		check(erofs_entry_path(e, path, sizeof(path)) == (ssize_t)strlen(path));
		check(used + strlen(path) + 2 < sizeof(out));
		used += (size_t)sprintf(out + used, "%s ", path);
	}
	return out;
}

TEST(parents_are_made_and_named_later)
{
	struct erofs_tree *t = new_tree();
	struct erofs_attr a;

	add(t, "a/b/c", &file);
	check(erofs_node_implicit(find(t, "a/b")));
	erofs_node_attr(find(t, "a"), &a);
	check_int(a.mode, S_IFDIR | 0755);
	check_int(a.uid, 0);
	add(t, "/a//b/./", &folder);
	check(!erofs_node_implicit(find(t, "a/b")) && erofs_node_implicit(find(t, "a")));
	erofs_node_attr(find(t, "a/b"), &a);
	check_int(a.uid, 1);
	check_str(list(t), "a a/b a/b/c ");
	check_int(erofs_tree_entries(t), 3);
	check(find(t, "/") == erofs_tree_root(t) && find(t, "") == erofs_tree_root(t));
	add(t, "./", &folder);
	erofs_node_attr(erofs_tree_root(t), &a);
	check_int(a.uid, 1);
	erofs_tree_free(t);
}

TEST(later_wins)
{
	struct erofs_tree *t = new_tree();
	struct erofs_xattr x = {"user.a", "1", 1};
	struct erofs_node *n;

	add(t, "d/one", &file);
	add(t, "d/sub/two", &file);
	check_ok(erofs_node_add_xattr(t, find(t, "d"), &x, &err), &err);
	/* A directory over a directory keeps what is in it, but not its xattrs. */
	n = add(t, "d", &folder);
	check_int(erofs_node_xattr_count(n), 0);
	check_str(list(t), "d d/one d/sub d/sub/two ");
	/* Anything else takes its place. */
	add(t, "d", &file);
	check_str(list(t), "d ");
	check_int(erofs_tree_entries(t), 1);
	check_int(add_fails(t, "d/one", 5), -ENOTDIR);
	add(t, "d", &folder);
	check_str(list(t), "d ");
	add(t, "d/new", &file);
	check_str(list(t), "d d/new ");
	erofs_tree_free(t);
}

TEST(hard_links)
{
	struct erofs_tree *t = new_tree();
	struct erofs_node *n = add(t, "a/file", &file);

	check_ok(erofs_node_copy_memory(t, n, "content", 7, &err), &err);
	check_int(link_to(t, "b", "a/file"), 0);
	check_int(link_to(t, "c/d", "./b"), 0);
	check_int(erofs_node_nlink(n), 3);
	check(find(t, "c/d") == n);
	/* To itself: nothing happens. */
	check_int(link_to(t, "b", "b"), 0);
	check_int(erofs_node_nlink(n), 3);
	/* The others keep what they had. */
	check(add(t, "b", &file) != n);
	check_int(erofs_node_nlink(n), 2);
	check_int(erofs_node_size(find(t, "c/d")), 7);
	/* A link over the directory that holds the target. */
	check_int(link_to(t, "a", "a/file"), 0);
	check(find(t, "a") == n);
	check_int(erofs_node_nlink(n), 2);
	check_int(erofs_node_size(n), 7);
	check_int(erofs_tree_remove(t, "c", 1, &err), 0);
	check_int(erofs_node_nlink(n), 1);
	add(t, "dir", &folder);
	check_int(link_to(t, "e", "dir"), -EPERM);
	check_int(link_to(t, "e", "nothing"), -ENOENT);
	check_int(link_to(t, "/", "b"), -EPERM);
	check_str(list(t), "a b dir ");
	erofs_tree_free(t);
}

TEST(removing)
{
	struct erofs_tree *t = new_tree();

	add(t, "a/b/c/d", &file);
	add(t, "a/e", &file);
	add(t, "f", &file);
	check_int(erofs_tree_remove(t, "a/x", 3, &err), 1);
	check_int(erofs_tree_remove(t, "f/x", 3, &err), 1);
	check_int(erofs_tree_remove(t, "a/b", 3, &err), 0);
	check_str(list(t), "a a/e f ");
	check_int(erofs_tree_entries(t), 3);
	check(!find(t, "a/b/c/d"));
	add(t, "a/b", &file);
	check_str(list(t), "a a/b a/e f ");
	check_int(erofs_tree_remove(t, "", 0, &err), -EPERM);
	check_int(erofs_tree_remove(t, "a", 1, &err), 0);
	check_int(erofs_tree_remove(t, "f", 1, &err), 0);
	check_str(list(t), "");
	erofs_tree_free(t);
}

TEST(order_is_of_bytes)
{
	struct erofs_tree *t = new_tree();
	const char *names[] = {"b", "a.b", "\xff", "a", "a/z", "B", "aa", "-", "a-b"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], "a") != 0)
			add(t, names[i], &file);
	/* A directory's content follows it, before "a-b". */
	check_str(list(t), "- B a a/z a-b a.b aa b \xff ");
	erofs_tree_free(t);
}

TEST(bad_paths)
{
	struct erofs_tree *t = new_tree();
	char path[EROFS_PATH_MAX + 8];
	struct erofs_attr a = file;

	check_int(add_fails(t, "a/../b", 6), -EINVAL);
	check_int(add_fails(t, "..", 2), -EINVAL);
	check_int(add_fails(t, "a\0b", 3), -EINVAL);
	memset(path, 'x', sizeof(path));
	check_int(add_fails(t, path, EROFS_NAME_MAX + 1), -ENAMETOOLONG);
	add(t, "d", &folder);
	path[EROFS_NAME_MAX] = '\0';
	add(t, path, &file);
	for (size_t i = 0; i < sizeof(path); i++)
		path[i] = i % 2 ? '/' : 'x';
	check_int(add_fails(t, path, EROFS_PATH_MAX + 1), -ENAMETOOLONG);
	check_int(add_fails(t, "/", 1), -EPERM);
	check_int(erofs_tree_entries(t), 2);
	/* As deep as can be: 2048 directories. */
	check_ok(erofs_tree_add(t, path, EROFS_PATH_MAX, &file, NULL, &err), &err);
	check_int(erofs_tree_entries(t), 2 + 2048);
	check_int(erofs_tree_remove(t, "x", 1, &err), 0);
	check_int(erofs_tree_entries(t), 2);
	a.mode = 0644;
	check_int(erofs_tree_add(t, "n", 1, &a, NULL, &err), -EINVAL);
	a = file;
	a.mtime_ns = 1000000000;
	check_int(erofs_tree_add(t, "n", 1, &a, NULL, &err), -EINVAL);
	a = (struct erofs_attr){.mode = S_IFCHR, .rdev_major = 4096};
	check_int(erofs_tree_add(t, "n", 1, &a, NULL, &err), -EINVAL);
	check_int(erofs_tree_add_symlink(t, "n", 1, &file, "", 0, NULL, &err), -EINVAL);
	check_int(erofs_tree_add_symlink(t, "n", 1, &file, path, EROFS_SYMLINK_MAX + 1, NULL, &err),
	          -ENAMETOOLONG);
	check(!find(t, "n"));
	erofs_tree_free(t);
}

TEST(xattr_sets)
{
	struct erofs_tree *t = new_tree();
	struct erofs_node *n = add(t, "f", &file);
	static char large[65536];
	struct erofs_xattr two[] = {{"user.b", "2", 1}, {"trusted.a", "1", 1}};
	struct erofs_xattr x = {"user.b", "22", 2};
	const void *value;
	char name[300];
	size_t size;

	check_ok(erofs_node_set_xattrs(t, n, two, 2, &err), &err);
	check_ok(erofs_node_add_xattr(t, n, &x, &err), &err);
	check_int(erofs_node_xattr_count(n), 2);
	check_int(erofs_node_xattr(n, 0, name, sizeof(name), &value, &size), 0);
	check_str(name, "user.b");
	check_int(size, 2);
	check_mem(value, "22", 2);
	check_int(erofs_node_xattr(n, 1, name, sizeof(name), &value, &size), 0);
	check_str(name, "trusted.a");
	check_int(erofs_node_xattr(n, 1, name, 9, &value, &size), -ERANGE);
	check_int(erofs_node_xattr(n, 2, name, sizeof(name), &value, &size), -ENOENT);

	two[1].name = "user.b";
	check_int(erofs_node_set_xattrs(t, n, two, 2, &err), -EEXIST);
	for (size_t i = 0; i < 5; i++) {
		static const char *const bad[] = {"", "user.", "system.nfs4_acl",
		                                  "system.posix_acl_access.x", "lustre.lov"};

		x.name = bad[i];
		check_int(erofs_node_add_xattr(t, n, &x, &err), -EOPNOTSUPP);
	}
	x = (struct erofs_xattr){"user.large", large, 65536};
	check_int(erofs_node_add_xattr(t, n, &x, &err), -E2BIG);
	x.size = 65535;
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "user.large%d", i);
		x.name = name;
		check_ok(erofs_node_add_xattr(t, n, &x, &err), &err);
	}
	x.name = "user.toomuch";
	check_int(erofs_node_add_xattr(t, n, &x, &err), -E2BIG);
	check_int(erofs_node_xattr_count(n), 5);
	memset(name, 'n', sizeof(name));
	memcpy(name, "user.", 5);
	name[5 + 256] = '\0';
	x = (struct erofs_xattr){name, "", 0};
	check_int(erofs_node_add_xattr(t, n, &x, &err), -E2BIG);
	check_ok(erofs_node_set_xattrs(t, n, NULL, 0, &err), &err);
	check_int(erofs_node_xattr_count(n), 0);
	erofs_tree_free(t);
}

TEST(a_large_directory_within_the_budget)
{
	struct erofs_tree *t = new_tree();
	const unsigned int n = 200000;
	char path[64], last[64] = "";
	uint64_t seen = 0;

	/* Names as long as usual ones, in no order. */
	for (unsigned int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "dir/name-%08x.txt", i * 2654435761u);
		add(t, path, &file);
	}
	check(erofs_tree_memory(t) < (10u << 20) + 256ull * n);
	for (struct erofs_entry *e = erofs_node_children(find(t, "dir")); e;
	     e = erofs_entry_next(e), seen++) {
		const char *name = erofs_entry_name(e, NULL);

		check(strcmp(last, name) < 0);
		strcpy(last, name);
	}
	check_int(seen, n);
	erofs_tree_free(t);
}

TEST(memory_limit)
{
	struct erofs_tree *t = new_tree();
	char path[32];
	int r = 0, i;

	erofs_tree_set_limit(t, 100000);
	for (i = 0; r == 0 && i < 10000; i++) {
		snprintf(path, sizeof(path), "%d", i);
		r = erofs_tree_add(t, path, strlen(path), &file, NULL, &err);
	}
	check_int(r, -E2BIG);
	check(i > 300 && erofs_tree_memory(t) < 110000);
	check(!find(t, path) && find(t, "0"));
	erofs_tree_free(t);
}

TEST_MAIN()
