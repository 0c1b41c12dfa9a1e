/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree: a file system in memory, on its way into an EROFS image.
 *
 * The tree has entries (a name in a directory) and nodes (what the name stands
 * for: attributes, xattrs, content). Hard links are several entries of one
 * node. All memory is the tree's and goes away with erofs_tree_free(); nothing
 * here opens a file. An entry costs about 200 bytes, its name included.
 *
 * Paths are bytes, not text: any byte but NUL and '/' may be in a name. "/",
 * "./" and repeated slashes are dropped, ".." is refused (-EINVAL), symbolic
 * links are never followed. Missing parents are made as 0755 root:root with
 * the root's mtime, and take attributes when they are added later.
 *
 * Errors: -EINVAL a name that cannot be stored, -ENAMETOOLONG beyond the limits
 * below, -ENOTDIR a parent that is not a directory, -ENOENT nothing there,
 * -EPERM what a hard link or the root cannot be, -E2BIG past the memory limit,
 * -ENOMEM.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#define EROFS_NAME_MAX        255  /* bytes of one component (EROFS_NAME_LEN) */
#define EROFS_PATH_MAX        4095 /* bytes of a whole path; bounds the depth too */
#define EROFS_SYMLINK_MAX     4095 /* the kernel reads a target from one page */
#define EROFS_CHUNK_BITS      16u  /* 64 KiB: what the page tables of DAX can still gather */
#define EROFS_CHUNK_SIZE      (1u << EROFS_CHUNK_BITS)
#define EROFS_XATTR_VALUE_MAX 65535 /* e_value_size is 16 bits wide */

struct erofs_tree;
struct erofs_node;
struct erofs_entry;

struct erofs_attr {
	uint32_t mode; /* S_IFMT type and permission bits */
	uint32_t uid;
	uint32_t gid;
	uint32_t rdev_major; /* S_IFCHR, S_IFBLK; at most 12 bits */
	uint32_t rdev_minor; /* at most 20 bits */
	int64_t mtime;       /* seconds since 1970 */
	uint32_t mtime_ns;   /* below 1000000000 */
};

/* `name` with its namespace: "user.x", "trusted.x", "security.x",
 * "system.posix_acl_access", "system.posix_acl_default". */
struct erofs_xattr {
	const char *name; /* NUL-terminated, at most 255 bytes after the namespace */
	const void *value;
	size_t size;
};

/* Content that is in the image file already. */
struct erofs_extent {
	uint32_t block; /* 4096-byte block where it begins */
	uint64_t size;  /* bytes */
};

/* root: attributes of "/", NULL for 0755 root:root at second 0, implicit until it is added. */
int erofs_tree_new(struct erofs_tree **out, const struct erofs_attr *root, struct error *err);
void erofs_tree_free(struct erofs_tree *tree);
DEFINE_CLEANUP(struct erofs_tree, erofs_tree, erofs_tree_free)
#define _cleanup_erofs_tree_ _cleanup_(cleanup_erofs_tree)

/* Most memory the tree may take, in bytes (0: no limit); -E2BIG beyond. */
void erofs_tree_set_limit(struct erofs_tree *tree, size_t bytes);
size_t erofs_tree_memory(const struct erofs_tree *tree);
/* Entries (names), the root not counted. */
uint64_t erofs_tree_entries(const struct erofs_tree *tree);

/*
 * Adds any type but a symbolic link. What was at `path` is replaced: a
 * directory by a directory keeps its children and takes the new attributes and
 * no xattrs; everything else leaves (with its children) and is made anew. Other
 * hard links of a replaced file keep the old content. The path of the root
 * ("/", ".", "") sets the root's attributes. *out (may be NULL) is valid until
 * that path is replaced or removed.
 */
int erofs_tree_add(struct erofs_tree *tree, const char *path, size_t len,
                   const struct erofs_attr *attr, struct erofs_node **out, struct error *err);
/* attr->mode's permission bits are kept as given (0777 as Linux shows links). */
int erofs_tree_add_symlink(struct erofs_tree *tree, const char *path, size_t len,
                           const struct erofs_attr *attr, const char *target, size_t target_len,
                           struct erofs_node **out, struct error *err);
/* A hard link at `path` to what is at `target` now (not a directory: -EPERM). */
int erofs_tree_link(struct erofs_tree *tree, const char *path, size_t len, const char *target,
                    size_t target_len, struct error *err);
int erofs_tree_link_node(struct erofs_tree *tree, const char *path, size_t len,
                         struct erofs_node *node, struct error *err);
/* Removes an entry and all below it. 1: nothing was there. */
int erofs_tree_remove(struct erofs_tree *tree, const char *path, size_t len, struct error *err);
/* NULL when nothing is there (or the path cannot be one). */
struct erofs_node *erofs_tree_find(struct erofs_tree *tree, const char *path, size_t len);
struct erofs_node *erofs_tree_root(struct erofs_tree *tree);

/* A regular file that an image with compression leaves as it is, next to the others that are
 * so marked; nothing for other types. */
void erofs_node_set_hot(struct erofs_node *node);

/* Attributes and content of a node. Setting content drops what it had. */
void erofs_node_attr(const struct erofs_node *node, struct erofs_attr *out);
/* Replaces everything but the type of the file. */
void erofs_node_set_attr(struct erofs_node *node, const struct erofs_attr *attr);
uint32_t
erofs_node_nlink(const struct erofs_node *node);         /* names; directories 2 + subdirectories */
uint64_t erofs_node_size(const struct erofs_node *node); /* content or target, bytes */
const char *erofs_node_target(const struct erofs_node *node, size_t *len); /* symlinks, else NULL */
/* Made as a missing parent, never added itself. */
bool erofs_node_implicit(const struct erofs_node *node);

/* Streaming: the extent that erofs_writer_data_end() gave (writer.h). */
int erofs_node_set_extent(struct erofs_tree *tree, struct erofs_node *node,
                          const struct erofs_extent *extent, struct error *err);
/* Streaming: content in pieces of EROFS_CHUNK_SIZE (the last one may be shorter) that begin at
 * these blocks, n of them, copied. Other files may have the same ones (EROFS_WRITE_SHARED). */
int erofs_node_set_chunks(struct erofs_tree *tree, struct erofs_node *node, const uint32_t *blocks,
                          size_t n, uint64_t size, struct error *err);
/* A file of the host, opened when the image is written; must then be a regular
 * file of exactly `size` bytes. The path is copied. */
int erofs_node_set_path(struct erofs_tree *tree, struct erofs_node *node, const char *path,
                        uint64_t size, struct error *err);
/* Bytes that stay valid until the image is written ... */
int erofs_node_set_memory(struct erofs_tree *tree, struct erofs_node *node, const void *data,
                          size_t size, struct error *err);
/* ... or are copied into the tree. */
int erofs_node_copy_memory(struct erofs_tree *tree, struct erofs_node *node, const void *data,
                           size_t size, struct error *err);

/* All xattrs of a node at once; order does not matter, a name twice is -EEXIST,
 * a namespace that EROFS does not have is -EOPNOTSUPP, too large -E2BIG. */
int erofs_node_set_xattrs(struct erofs_tree *tree, struct erofs_node *node,
                          const struct erofs_xattr *list, size_t n, struct error *err);
/* Adds one to those that are there, or replaces its value. */
int erofs_node_add_xattr(struct erofs_tree *tree, struct erofs_node *node,
                         const struct erofs_xattr *xattr, struct error *err);
size_t erofs_node_xattr_count(const struct erofs_node *node);
/* The i-th in on-disk order. The name is written to `name`, NUL-terminated;
 * the value points into the tree. -ENOENT past the end, -ERANGE a small buffer
 * (EROFS_NAME_MAX + 32 is enough). */
int erofs_node_xattr(const struct erofs_node *node, size_t i, char *name, size_t name_size,
                     const void **value, size_t *size);

/* Children in byte order of their names. Adding and removing ends an iteration. */
struct erofs_entry *erofs_node_children(struct erofs_node *dir); /* first, or NULL */
struct erofs_entry *erofs_entry_next(struct erofs_entry *entry); /* sibling, or NULL */
/* All entries: a directory before what is in it. Start with NULL, ends with NULL. */
struct erofs_entry *erofs_tree_walk(struct erofs_tree *tree, struct erofs_entry *entry);
const char *erofs_entry_name(const struct erofs_entry *entry, size_t *len); /* NUL-terminated */
struct erofs_node *erofs_entry_node(const struct erofs_entry *entry);
/* "a/b/c", NUL-terminated; returns its length, or -ERANGE. */
ssize_t erofs_entry_path(const struct erofs_entry *entry, char *buf, size_t size);
