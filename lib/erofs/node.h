/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node: how the tree is kept. Private to lib/erofs (tree.h is what others use).
 *
 * Sizes matter here: an image of a million files is held in memory until its metadata
 * is written.
 */
#pragma once

#include <sys/stat.h>

#include "lib/erofs/intern.h"
#include "lib/erofs/tree.h"

enum node_content {
	CONTENT_NONE = 0,
	CONTENT_EXTENT, /* in the image already, at `block` */
	CONTENT_SOURCE, /* a host file, `source` */
	CONTENT_MEMORY, /* `memory` */
	CONTENT_CHUNKS, /* in the image already, at `chunks`, one a EROFS_CHUNK_SIZE */
};

enum node_flags {
	NODE_IMPLICIT = 1u << 0, /* a parent that nobody added */
	NODE_UNSORTED = 1u << 1, /* directory: children are not in order */
	NODE_HAS_DEAD = 1u << 2, /* directory: some children were removed */
	/* Set by the layout. */
	NODE_EXTENDED = 1u << 3, /* 64-byte inode */
	NODE_INLINE = 1u << 4,   /* the tail of its data follows the inode */
	NODE_HOT = 1u << 5,      /* a file that is never compressed, and lies with its like */
	/* Set by pack.h: compressed, and `block` is its number there, from 1 on. */
	NODE_PACKED = 1u << 6,
};

/* A host file: a name in a folder that is itself a source, or a whole path. */
struct source {
	const struct source *dir; /* NULL: name is a path as the caller gave it */
	char name[];
};

/* Bytes of `bytes` in a kept xattr: index, name length, value size (2, host order), name,
 * value. A kept set is an array of pointers to kept xattrs, sorted by index and name. */
struct xattr_key {
	uint8_t index;
	uint8_t name_len;
	uint16_t value_size;
	uint8_t name_value[];
};

struct erofs_node {
	const struct interned *xattrs; /* the set, NULL for none */
	int64_t mtime;
	uint32_t mtime_ns;
	uint32_t uid;
	uint32_t gid;
	uint32_t nlink; /* names; a directory's is made by the layout */
	uint64_t size;  /* content, target or directory; the latter by the layout */
	uint32_t block; /* first block of the data; device number for devices */
	uint32_t slot;  /* inode number, by the layout; 0 before */
	uint16_t mode;
	uint8_t content; /* enum node_content */
	uint8_t flags;   /* enum node_flags */
	union {
		struct {                          /* S_IFDIR */
			struct erofs_entry *self; /* NULL for the root */
			struct erofs_entry *first, *last;
		};
		struct interned *target;     /* S_IFLNK */
		const struct source *source; /* CONTENT_SOURCE */
		const void *memory;          /* CONTENT_MEMORY */
		const uint32_t *chunks;      /* CONTENT_CHUNKS */
	};
};

struct erofs_entry {
	struct erofs_entry *next;  /* sibling */
	struct erofs_entry *chain; /* in the hash table */
	struct erofs_node *dir;
	struct erofs_node *node; /* NULL once removed */
	uint32_t hash;
	uint8_t name_len;
	char name[]; /* and a NUL */
};

/* Room in the image that nothing refers to any more. */
struct dropped_extent {
	struct dropped_extent *next;
	struct erofs_extent extent;
};

struct erofs_tree {
	struct arena arena;
	struct hash_key key;
	struct erofs_entry **buckets; /* by (dir, name) */
	size_t n_buckets;
	uint64_t n_entries;
	struct intern xattrs, xattr_sets, targets;
	struct dropped_extent *dropped;
	struct erofs_node root;
};

static inline bool node_is_dir(const struct erofs_node *n)
{
	return (n->mode & S_IFMT) == S_IFDIR;
}

static inline bool node_is_link(const struct erofs_node *n)
{
	return (n->mode & S_IFMT) == S_IFLNK;
}

static inline bool node_is_file(const struct erofs_node *n)
{
	return (n->mode & S_IFMT) == S_IFREG;
}

static inline bool node_is_chunked(const struct erofs_node *n)
{
	return node_is_file(n) && n->content == CONTENT_CHUNKS;
}

static inline bool node_is_device(const struct erofs_node *n)
{
	return (n->mode & S_IFMT) == S_IFCHR || (n->mode & S_IFMT) == S_IFBLK;
}

/* The xattrs of a set. */
static inline size_t xattr_set_count(const struct interned *set)
{
	return set ? set->size / sizeof(struct interned *) : 0;
}

static inline struct interned *xattr_set_item(const struct interned *set, size_t i)
{
	return ((struct interned *const *)(const void *)set->bytes)[i];
}

static inline const struct xattr_key *xattr_item_key(const struct interned *item)
{
	return (const struct xattr_key *)(const void *)item->bytes;
}

/* Byte order of names, as the kernel's binary search wants it. */
int erofs_name_compare(const char *a, size_t a_len, const char *b, size_t b_len);

/* The error for a failed arena allocation: -ENOMEM or -E2BIG. */
int tree_no_memory(const struct erofs_tree *tree, struct error *err);

/* As erofs_tree_add(), of one name in a known directory; no name is the directory itself. */
int tree_add_at(struct erofs_tree *tree, struct erofs_node *dir, const char *name, size_t len,
                const struct erofs_attr *attr, struct erofs_node **out, struct error *err);
int tree_link_at(struct erofs_tree *tree, struct erofs_node *dir, const char *name, size_t len,
                 struct erofs_node *node, struct error *err);
/* The node holds nothing any more; room in the image is noted for giving back. */
int tree_drop_content(struct erofs_tree *tree, struct erofs_node *node, struct error *err);
/* A symbolic link needs a target before anything else is done with it. */
int tree_set_target(struct erofs_tree *tree, struct erofs_node *node, const char *target,
                    size_t len, struct error *err);
/* NULL as arena_alloc(). */
const struct source *tree_new_source(struct erofs_tree *tree, const struct source *dir,
                                     const char *name);
/* source NULL: -ENOMEM or -E2BIG. */
int tree_set_source(struct erofs_tree *tree, struct erofs_node *node, const struct source *source,
                    uint64_t size, struct error *err);
