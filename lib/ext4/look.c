/* SPDX-License-Identifier: Apache-2.0 */
/* look: opens somebody's ext4 image, and reads what its superblock and single inodes hold. */
#include <errno.h>
#include <et/com_err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/ext4/image.h"

#define SUPER_OFFSET 1024u
#define PIECE        65536u

int ext4_damaged(struct error *err, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return error_set_kind(err, ERROR_INPUT, EUCLEAN, "the ext4 file system is damaged: %s",
	                      text);
}

int ext4_failed(errcode_t code, struct error *err, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (code == ENOMEM || code == EXT2_ET_NO_MEMORY)
		return error_set(err, ENOMEM, "no memory to look at the ext4 file system");
	if (code > 0 && code < 4096)
		return error_errno(err, (int)code, "%s", text);
	if (code == EXT2_ET_UNSUPP_FEATURE || code == EXT2_ET_RO_UNSUPP_FEATURE)
		return error_set_kind(err, ERROR_INPUT, EOPNOTSUPP,
		                      "the ext4 file system has features that are not known here");
	return ext4_damaged(err, "%s: %s", text, error_message(code));
}

/* Before libext2fs takes memory for tables of the size that the superblock claims. */
static int check_super(int fd, uint64_t offset, uint64_t size, struct error *err)
{
	struct ext2_super_block s;
	uint64_t blocks, inode_size;
	int r = size < SUPER_OFFSET + sizeof(s)
	            ? -ENODATA
	            : fs_pread_all(fd, &s, sizeof(s), offset + SUPER_OFFSET);

	if (r == -ENODATA)
		return ext4_damaged(err, "it ends before its superblock");
	if (r < 0)
		return error_errno(err, -r, "cannot read the ext4 file system");
	/* The fields of an ext4 superblock are little-endian, as is every machine we run on. */
	if (s.s_magic != EXT2_SUPER_MAGIC)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "it is no ext4 file system: there is no superblock");
	if (s.s_log_block_size > 6)
		return ext4_damaged(err, "its blocks are larger than 64 KiB");
	blocks = s.s_blocks_count;
	if (s.s_feature_incompat & EXT4_FEATURE_INCOMPAT_64BIT)
		blocks |= (uint64_t)s.s_blocks_count_hi << 32;
	if (blocks > size >> (10 + s.s_log_block_size))
		return ext4_damaged(err, "it is cut off: %llu blocks of %u bytes in %llu bytes",
		                    (unsigned long long)blocks, 1024u << s.s_log_block_size,
		                    (unsigned long long)size);
	inode_size = s.s_rev_level == 0 ? EXT2_GOOD_OLD_INODE_SIZE : s.s_inode_size;
	if (inode_size < EXT2_GOOD_OLD_INODE_SIZE || s.s_inodes_count > size / inode_size)
		return ext4_damaged(err, "its inode tables do not fit");
	return 0;
}

/* Opening does not look at these checksums, and only notes what is behind the bitmaps' ends. */
static int check_descriptors(ext2_filsys fs, struct error *err)
{
	if (fs->flags & (EXT2_FLAG_BBITMAP_TAIL_PROBLEM | EXT2_FLAG_IBITMAP_TAIL_PROBLEM))
		return ext4_damaged(err, "a bitmap is not filled with ones behind its end");
	for (dgrp_t g = 0; g < fs->group_desc_count; g++)
		if (!ext2fs_group_desc_csum_verify(fs, g))
			return ext4_damaged(err, "the checksum of group %u does not hold", g);
	return 0;
}

int ext4_open(struct ext4_image **out, int fd, uint64_t offset, uint64_t size, struct error *err)
{
	struct ext4_image *image;
	char name[40], options[40];
	errcode_t code;
	int r = check_super(fd, offset, size, err);

	if (r < 0)
		return r;
	initialize_ext2_error_table();
	image = calloc(1, sizeof(*image));
	if (!image)
		return error_set(err, ENOMEM, "no memory to look at the ext4 file system");
	image->offset = offset;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	snprintf(options, sizeof(options), "offset=%llu", (unsigned long long)offset);
	code = ext2fs_open2(name, options, EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP, 0, 0,
	                    unix_io_manager, &image->fs);
	if (code == 0)
		code = ext2fs_check_desc(image->fs);
	if (code == 0)
		code = ext2fs_read_bitmaps(image->fs);
	if (code)
		r = ext4_failed(code, err, "superblock, descriptors or bitmaps");
	else
		r = check_descriptors(image->fs, err);
	if (r < 0) {
		ext4_close(image);
		return r;
	}
	*out = image;
	return 0;
}

void ext4_close(struct ext4_image *image)
{
	if (!image)
		return;
	if (image->fs)
		ext2fs_free(image->fs);
	free(image);
}

/* ---------------------------------------------------------------- the superblock */

enum word { COMPAT, INCOMPAT, RO_COMPAT };

/* In dumpe2fs's order and words. */
static const struct feature {
	enum word word;
	uint32_t bit;
	const char *name;
} features[] = {
    {COMPAT, EXT3_FEATURE_COMPAT_HAS_JOURNAL, "has_journal"},
    {COMPAT, EXT2_FEATURE_COMPAT_EXT_ATTR, "ext_attr"},
    {COMPAT, EXT2_FEATURE_COMPAT_RESIZE_INODE, "resize_inode"},
    {COMPAT, EXT2_FEATURE_COMPAT_DIR_INDEX, "dir_index"},
    {COMPAT, EXT4_FEATURE_COMPAT_SPARSE_SUPER2, "sparse_super2"},
    {COMPAT, EXT4_FEATURE_COMPAT_FAST_COMMIT, "fast_commit"},
    {COMPAT, EXT4_FEATURE_COMPAT_STABLE_INODES, "stable_inodes"},
    {INCOMPAT, EXT2_FEATURE_INCOMPAT_FILETYPE, "filetype"},
    {INCOMPAT, EXT3_FEATURE_INCOMPAT_RECOVER, "needs_recovery"},
    {INCOMPAT, EXT2_FEATURE_INCOMPAT_META_BG, "meta_bg"},
    {INCOMPAT, EXT3_FEATURE_INCOMPAT_EXTENTS, "extent"},
    {INCOMPAT, EXT4_FEATURE_INCOMPAT_64BIT, "64bit"},
    {INCOMPAT, EXT4_FEATURE_INCOMPAT_MMP, "mmp"},
    {INCOMPAT, EXT4_FEATURE_INCOMPAT_FLEX_BG, "flex_bg"},
    {INCOMPAT, EXT4_FEATURE_INCOMPAT_EA_INODE, "ea_inode"},
    {INCOMPAT, EXT4_FEATURE_INCOMPAT_CSUM_SEED, "metadata_csum_seed"},
    {INCOMPAT, EXT4_FEATURE_INCOMPAT_LARGEDIR, "large_dir"},
    {INCOMPAT, EXT4_FEATURE_INCOMPAT_INLINE_DATA, "inline_data"},
    {INCOMPAT, EXT4_FEATURE_INCOMPAT_ENCRYPT, "encrypt"},
    {INCOMPAT, EXT4_FEATURE_INCOMPAT_CASEFOLD, "casefold"},
    {RO_COMPAT, EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER, "sparse_super"},
    {RO_COMPAT, EXT2_FEATURE_RO_COMPAT_LARGE_FILE, "large_file"},
    {RO_COMPAT, EXT4_FEATURE_RO_COMPAT_HUGE_FILE, "huge_file"},
    {RO_COMPAT, EXT4_FEATURE_RO_COMPAT_GDT_CSUM, "uninit_bg"},
    {RO_COMPAT, EXT4_FEATURE_RO_COMPAT_DIR_NLINK, "dir_nlink"},
    {RO_COMPAT, EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE, "extra_isize"},
    {RO_COMPAT, EXT4_FEATURE_RO_COMPAT_QUOTA, "quota"},
    {RO_COMPAT, EXT4_FEATURE_RO_COMPAT_BIGALLOC, "bigalloc"},
    {RO_COMPAT, EXT4_FEATURE_RO_COMPAT_METADATA_CSUM, "metadata_csum"},
    {RO_COMPAT, EXT4_FEATURE_RO_COMPAT_READONLY, "read-only"},
    {RO_COMPAT, EXT4_FEATURE_RO_COMPAT_PROJECT, "project"},
    {RO_COMPAT, EXT4_FEATURE_RO_COMPAT_VERITY, "verity"},
};

void ext4_summarize(struct ext4_image *image, struct ext4_summary *out)
{
	const struct ext2_super_block *s = image->fs->super;
	const uint32_t words[] = {s->s_feature_compat, s->s_feature_incompat,
	                          s->s_feature_ro_compat};
	size_t at = 0;

	*out = (struct ext4_summary){
	    .blocks = ext2fs_blocks_count(image->fs->super),
	    .free_blocks = ext2fs_free_blocks_count(image->fs->super),
	    .block_size = image->fs->blocksize,
	    .inodes = s->s_inodes_count,
	    .free_inodes = s->s_free_inodes_count,
	    .journal = s->s_feature_compat & EXT3_FEATURE_COMPAT_HAS_JOURNAL,
	    .needs_recovery = s->s_feature_incompat & EXT3_FEATURE_INCOMPAT_RECOVER,
	};
	memcpy(out->uuid, s->s_uuid, sizeof(out->uuid));
	memcpy(out->label, s->s_volume_name, sizeof(s->s_volume_name));
	for (size_t i = 0; i < sizeof(features) / sizeof(*features); i++)
		if (words[features[i].word] & features[i].bit && at < sizeof(out->features))
			at += (size_t)snprintf(out->features + at, sizeof(out->features) - at,
			                       "%s%s", at > 0 ? " " : "", features[i].name);
}

/* ---------------------------------------------------------------- one inode */

static int read_blocks(struct ext4_image *image, ext2_ino_t ino, ext4_bytes_fn fn, void *data,
                       struct error *err)
{
	uint8_t *piece = malloc(PIECE);
	ext2_file_t file = NULL;
	errcode_t code = piece ? ext2fs_file_open2(image->fs, ino, NULL, 0, &file) : ENOMEM;
	int r = 0;

	while (code == 0 && r == 0) {
		unsigned int n = 0;

		code = ext2fs_file_read(file, piece, PIECE, &n);
		if (code || n == 0)
			break;
		r = fn(piece, n, data, err);
	}
	if (file)
		ext2fs_file_close(file);
	free(piece);
	return code ? ext4_failed(code, err, "content of inode %u", ino) : r;
}

int ext4_read(struct ext4_image *image, uint32_t ino, ext4_bytes_fn fn, void *data,
              struct error *err)
{
	struct ext2_inode inode;
	errcode_t code = ext2fs_read_inode(image->fs, ino, &inode);

	if (code)
		return ext4_failed(code, err, "inode %u", ino);
	if (LINUX_S_ISLNK(inode.i_mode) && ext2fs_is_fast_symlink(&inode))
		return fn((const uint8_t *)inode.i_block, EXT2_I_SIZE(&inode), data, err);
	return read_blocks(image, ino, fn, data, err);
}

struct xattrs {
	ext4_xattr_fn fn;
	void *data;
	struct error *err;
	int r;
};

static int take_xattr(char *name, char *value, size_t size, void *data)
{
	struct xattrs *x = data;

	x->r = x->fn(name, value, size, x->data, x->err);
	return x->r ? XATTR_ABORT : 0;
}

int ext4_xattrs(struct ext4_image *image, uint32_t ino, ext4_xattr_fn fn, void *data,
                struct error *err)
{
	struct xattrs x = {fn, data, err, 0};
	struct ext2_xattr_handle *h = NULL;
	unsigned int raw = XATTR_HANDLE_FLAG_RAW;
	errcode_t code = ext2fs_xattrs_open(image->fs, ino, &h);

	/* As it is on the disk: libext2fs would turn ACLs into another form. */
	if (code == 0)
		code = ext2fs_xattrs_flags(h, &raw, NULL);
	if (code == 0)
		code = ext2fs_xattrs_read(h);
	if (code == 0)
		code = ext2fs_xattrs_iterate(h, take_xattr, &x);
	if (h)
		ext2fs_xattrs_close(&h);
	return code ? ext4_failed(code, err, "extended attributes of inode %u", ino) : x.r;
}
