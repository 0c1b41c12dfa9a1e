/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format: the EROFS on-disk format as far as this library writes or reads it.
 *
 * Source: Linux Documentation/filesystems/erofs.rst and the layout that fs/erofs of
 * Linux 6.12 accepts. All numbers are little endian. Structures are given as byte
 * offsets, because images are untrusted bytes that are read through struct reader.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define EROFS_BLOCK_BITS   12u
#define EROFS_SUPER_OFFSET 1024u
#define EROFS_SUPER_SIZE   128u
#define EROFS_MAGIC        0xe0f5e1e2u
#define EROFS_SLOT_BITS    5u /* inode number = byte offset in the metadata area / 32 */
#define EROFS_SLOT_SIZE    32u
#define EROFS_NULL_BLOCK   UINT32_MAX

#define EROFS_COMPAT_SB_CHECKSUM    0x1u
#define EROFS_COMPAT_MTIME          0x2u /* extended inodes hold mtime (not ctime) */
#define EROFS_INCOMPAT_KNOWN        0x7fu
#define EROFS_INCOMPAT_ZERO_PADDING 0x1u /* LZ4 data ends where its last block does */
#define EROFS_INCOMPAT_BIG_CLUSTER  0x2u /* clusters of several blocks; settings follow */
#define EROFS_INCOMPAT_CHUNKED      0x4u
#define EROFS_INCOMPAT_XATTR_PREFIX 0x40u

/* INODE_U of chunked content: log2 of a chunk's blocks, and whether its map has 8-byte entries
 * with a device each. The map follows inode and xattrs, at a multiple of its entry's size. */
#define CHUNK_FORMAT_BITS    0x1fu
#define CHUNK_FORMAT_INDEXES 0x20u
#define CHUNK_FORMAT_KNOWN   0x3fu

/* Superblock, at byte 1024. */
enum {
	SB_MAGIC = 0,
	SB_CHECKSUM = 4, /* crc32c of bytes 1024..4095 with this field zero */
	SB_COMPAT = 8,
	SB_BLOCK_BITS = 12,
	SB_EXT_SLOTS = 13,
	SB_ROOT_NID = 14, /* 16 bits */
	SB_INODES = 16,
	SB_BUILD_TIME = 24,
	SB_BUILD_TIME_NS = 32,
	SB_BLOCKS = 36,
	SB_META_BLOCK = 40,
	SB_XATTR_BLOCK = 44,
	SB_UUID = 48,
	SB_VOLUME_NAME = 64,
	SB_INCOMPAT = 80,
	SB_COMPRESSION = 84, /* with BIG_CLUSTER a bit an algorithm, else LZ4's distance */
	SB_EXTRA_DEVICES = 86,
	SB_DIR_BLOCK_BITS = 90,
	/* Behind the 128 bytes, with BIG_CLUSTER: the settings of each algorithm. */
	SB_LZ4_SIZE = 128, /* of what follows */
	SB_LZ4_DISTANCE = 130,
	SB_LZ4_BLOCKS = 132, /* most blocks of a cluster */
};

#define EROFS_LZ4_SETTINGS_SIZE 14u
#define EROFS_LZ4_DISTANCE_MAX  65535u

/* Inode: both sizes begin alike. i_format: bit 0 extended, bits 1..3 layout. */
enum {
	INODE_FORMAT = 0,
	INODE_XATTR_COUNT = 2, /* 0: none, else area = 12 + (n - 1) * 4 bytes */
	INODE_MODE = 4,
	INODE_C_NLINK = 6, /* C: compact only, 16 bits */
	INODE_SIZE = 8,    /* compact 32 bits, extended 64 */
	INODE_U = 16,      /* block address, or device number */
	INODE_INO = 20,    /* for 32-bit stat only */
	INODE_C_UID = 24,
	INODE_C_GID = 26,
	INODE_COMPACT_SIZE = 32,
	INODE_X_UID = 24, /* X: extended only */
	INODE_X_GID = 28,
	INODE_X_MTIME = 32,
	INODE_X_MTIME_NS = 40,
	INODE_X_NLINK = 44,
	INODE_EXTENDED_SIZE = 64,
};

#define INODE_FORMAT_EXTENDED     0x1u
#define INODE_FORMAT_LAYOUT_SHIFT 1u
#define INODE_FORMAT_KNOWN        0xfu

/* Xattr area behind an inode: header, ids of shared entries, entries. */
enum {
	XATTR_HEADER_SHARED_COUNT = 4,
	XATTR_HEADER_SIZE = 12,
	XATTR_ENTRY_NAME_LEN = 0,
	XATTR_ENTRY_INDEX = 1,
	XATTR_ENTRY_VALUE_SIZE = 2,
	XATTR_ENTRY_SIZE = 4, /* then name, value, zeros to a multiple of 4 */
};

#define XATTR_SHARED_MAX        255u                /* h_shared_count is 8 bits wide */
#define XATTR_AREA_MAX          (12u + 65534u * 4u) /* i_xattr_icount is 16 bits wide */
#define XATTR_INDEX_LONG_PREFIX 0x80u

/*
 * Compressed content: whole blocks ("physical clusters"), each of which decompresses to one
 * run of the file. Behind the inode and its xattrs, at 8 bytes, follow a header and one entry
 * for each 4096 bytes of the file ("logical cluster"): HEAD (or PLAIN, stored as it is) when
 * a physical cluster's run begins in it, NONHEAD when none does.
 */
enum {
	CLUSTER_HEADER_ADVISE = 4,
	CLUSTER_HEADER_ALGORITHM = 6, /* bits 0..3 of HEAD1, 4..7 of HEAD2; 0: LZ4 */
	CLUSTER_HEADER_BITS = 7,      /* bits 0..3: log2 of logical clusters' blocks */
	CLUSTER_HEADER_SIZE = 8,
	CLUSTER_INDEX_GAP = 8, /* full entries leave 8 bytes after the header */
	CLUSTER_ENTRY_TYPE = 0,
	CLUSTER_ENTRY_OFFSET = 2, /* HEAD: where in the logical cluster the run begins */
	CLUSTER_ENTRY_BLOCK = 4,  /* HEAD: first block */
	CLUSTER_ENTRY_BACK = 4,   /* NONHEAD: distance to its head, or CLUSTER_BLOCKS | n */
	CLUSTER_ENTRY_AHEAD = 6,  /* NONHEAD: distance to the next head */
	CLUSTER_ENTRY_SIZE = 8,
};

#define CLUSTER_ADVISE_COMPACT_2B 0x1u
#define CLUSTER_ADVISE_BIG_1      0x2u  /* of HEAD1 clusters */
#define CLUSTER_ADVISE_BIG_2      0x4u  /* of HEAD2 and PLAIN clusters */
#define CLUSTER_ADVISE_INLINE     0x8u  /* ztailpacking */
#define CLUSTER_ADVISE_INTERLACED 0x10u /* plain clusters begin in their middle */
#define CLUSTER_ADVISE_FRAGMENT   0x20u
#define CLUSTER_WHOLE_FRAGMENT    0x80u   /* in CLUSTER_HEADER_BITS */
#define CLUSTER_PARTIAL           0x8000u /* in CLUSTER_ENTRY_TYPE: deduplicated */
#define CLUSTER_BLOCKS            0x800u  /* the distance back is 1, this is how many blocks */

enum cluster_type {
	CLUSTER_PLAIN = 0,
	CLUSTER_HEAD1 = 1,
	CLUSTER_NONHEAD = 2,
	CLUSTER_HEAD2 = 3,
};

/* What Linux accepts. */
#define CLUSTER_MAX_BLOCKS 256u
#define CLUSTER_MAX_LENGTH (12u << 20)

/* Directory entry: 12 bytes, sorted by name; the names follow the last of a block. */
enum {
	DIRENT_NID = 0,
	DIRENT_NAME_OFFSET = 8,
	DIRENT_TYPE = 10,
	DIRENT_SIZE = 12,
};

/* The dirent's type byte (FT_* of linux/fs_types.h) for a mode; 0 for no known type. */
static inline uint8_t erofs_file_type(uint32_t mode)
{
	static const uint8_t types[16] = {
	    [S_IFREG >> 12] = 1, [S_IFDIR >> 12] = 2,  [S_IFCHR >> 12] = 3, [S_IFBLK >> 12] = 4,
	    [S_IFIFO >> 12] = 5, [S_IFSOCK >> 12] = 6, [S_IFLNK >> 12] = 7,
	};

	return types[mode >> 12 & 15];
}

/* Device numbers are stored as the kernel's new_encode_dev() packs them. */
static inline uint32_t erofs_encode_dev(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | (major & 0xfff) << 8 | (minor & ~0xffu) << 12;
}

static inline void erofs_decode_dev(uint32_t dev, uint32_t *major, uint32_t *minor)
{
	*major = dev >> 8 & 0xfff;
	*minor = (dev & 0xff) | (dev >> 12 & 0xfff00);
}

/* "user." and so on for a name index; NULL for one we do not know. */
const char *erofs_xattr_prefix(uint8_t index);
/* The index for a full name, and where the rest begins. 0: no such namespace. */
uint8_t erofs_xattr_index(const char *name, const char **rest);

/* crc32c (Castagnoli, reflected, seed ~0, not inverted at the end) of the superblock's
 * 3072 bytes; the checksum field counts as zero. */
uint32_t erofs_super_checksum(const uint8_t *bytes, size_t size);

/* path made printable: one line, at most size - 1 bytes; returns buf. For error texts. */
const char *erofs_quote(char *buf, size_t size, const char *path, size_t len);
#define EROFS_QUOTE_MAX 200
