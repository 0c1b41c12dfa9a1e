/* SPDX-License-Identifier: Apache-2.0 */
/* volume: makes an empty ext4 file system of the right size, gives out its blocks and inodes. */
#include "lib/ext4/volume.h"

#include <errno.h>
#include <et/com_err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_BLOCKS    1024u /* the least that the kernel takes */
#define INODE_EXTRA       (sizeof(struct ext2_inode_large) - EXT2_GOOD_OLD_INODE_SIZE)
#define RESERVED_INODES   10u
#define BLOCKS_PER_INSERT EXT_INIT_MAX_LEN

int volume_failed(struct volume *v, errcode_t code, const char *doing)
{
	if (code > 0 && code < 4096)
		return error_errno(v->err, (int)code, "%s", doing);
	if (code == EXT2_ET_EA_NO_SPACE)
		return error_set_kind(v->err, ERROR_INPUT, E2BIG,
		                      "%s: extended attributes do not fit in a block of 4096 bytes",
		                      doing);
	return error_set(v->err, EIO, "%s: %s", doing, error_message(code));
}

/* ---------------------------------------------------------------- making it */

static void describe(struct ext2_super_block *s, const struct ext4_write_opts *opts)
{
	s->s_rev_level = EXT2_DYNAMIC_REV;
	s->s_log_block_size = 2; /* 1024 << 2 */
	s->s_log_cluster_size = 2;
	s->s_inode_size = 256;
	s->s_feature_compat = EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_DIR_INDEX;
	s->s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS;
	s->s_feature_ro_compat =
	    EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE |
	    EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE |
	    EXT4_FEATURE_RO_COMPAT_METADATA_CSUM;
	memcpy(s->s_uuid, opts->uuid, sizeof(s->s_uuid));
}

/* What ext2fs_initialize() does not take from its parameters. */
static void describe_more(ext2_filsys fs, const struct ext4_write_opts *opts)
{
	struct ext2_super_block *s = fs->super;

	/* 0 would mean the clock. */
	fs->now = opts->time ? (time_t)opts->time : 1;
	memcpy(s->s_uuid, opts->uuid, sizeof(s->s_uuid));
	memcpy(s->s_hash_seed, opts->uuid, sizeof(opts->uuid));
	s->s_def_hash_version = EXT2_HASH_HALF_MD4;
	s->s_flags = EXT2_FLAGS_UNSIGNED_HASH;
	memcpy(s->s_volume_name, opts->label, sizeof(s->s_volume_name));
	s->s_mkfs_time = s->s_wtime = s->s_lastcheck = (uint32_t)fs->now;
	s->s_max_mnt_count = -1;
	s->s_checkinterval = 0;
	s->s_min_extra_isize = s->s_want_extra_isize = INODE_EXTRA;
	s->s_state |= EXT2_VALID_FS;
	s->s_checksum_type = EXT2_CRC32C_CHKSUM;
	ext2fs_init_csum_seed(fs);
}

/* Lays out so many blocks; *enough: what they leave is. */
static errcode_t try_blocks(struct volume *v, const struct ext4_write_opts *opts,
                            const struct volume_need *need, uint64_t blocks, bool *enough)
{
	struct ext2_super_block param = {0};
	char name[40];
	errcode_t r;

	*enough = false;
	if (blocks > UINT32_MAX)
		return EFBIG;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", v->fd);
	describe(&param, opts);
	ext2fs_blocks_count_set(&param, blocks);
	param.s_inodes_count = (uint32_t)(need->inodes + RESERVED_INODES);
	r = ext2fs_initialize(name, EXT2_FLAG_64BITS, &param, unix_io_manager, &v->fs);
	if (r == 0)
		r = ext2fs_allocate_tables(v->fs);
	*enough = r == 0 && ext2fs_free_blocks_count(v->fs->super) >= need->blocks;
	return r;
}

static void drop(struct volume *v)
{
	if (v->fs)
		ext2fs_free(v->fs);
	v->fs = NULL;
}

/* The smallest file system whose free blocks are enough: what its own tables take is known once
 * it is laid out. */
static errcode_t lay_out(struct volume *v, const struct ext4_write_opts *opts,
                         const struct volume_need *need)
{
	uint64_t blocks = need->blocks + need->inodes / 16 + 64;
	bool enough;

	for (int tries = 0; tries < 32; tries++) {
		errcode_t r = try_blocks(v, opts, need, blocks, &enough);

		if (r || enough)
			return r;
		/* A last group too small for its own tables is cut off: go past that. */
		blocks += need->blocks - ext2fs_free_blocks_count(v->fs->super) +
		          32u * (unsigned int)(tries + 1);
		drop(v);
	}
	return EXT2_ET_TOOSMALL;
}

/* As large as was asked for. What is beyond the files' need gets inodes at mke2fs's rate. */
static errcode_t lay_out_sized(struct volume *v, const struct ext4_write_opts *opts,
                               const struct volume_need *need)
{
	uint64_t blocks = opts->size / EXT4_BLOCK_SIZE, least;
	struct volume_need more = *need;
	bool enough = false;
	errcode_t r = lay_out(v, opts, need);

	if (r)
		return r;
	least = ext2fs_blocks_count(v->fs->super);
	drop(v);
	more.inodes += blocks > least ? (blocks - least) / 4 : 0;
	if (blocks >= least)
		r = try_blocks(v, opts, &more, blocks, &enough);
	if (r || enough)
		return r;
	drop(v);
	/* A little more always does: a group's tables take less than this. */
	v->needed = (least + (blocks >= least ? 2048 : 0)) * EXT4_BLOCK_SIZE;
	return 0;
}

/* Inodes 1 to 10 have their uses; the inode tables are holes of the file. */
static void reserve(ext2_filsys fs)
{
	for (ext2_ino_t ino = 1; ino <= RESERVED_INODES; ino++)
		ext2fs_inode_alloc_stats2(fs, ino, 1, ino == EXT2_ROOT_INO);
	for (dgrp_t g = 0; g < fs->group_desc_count; g++) {
		ext2fs_bg_flags_set(fs, g, EXT2_BG_INODE_ZEROED);
		ext2fs_group_desc_csum_set(fs, g);
	}
}

int volume_create(struct volume *v, int fd, const struct ext4_write_opts *opts,
                  const struct volume_need *need, struct error *err)
{
	struct volume_need all = *need;
	errcode_t code;

	*v = (struct volume){.fd = fd, .inode = RESERVED_INODES, .err = err};
	initialize_ext2_error_table();
	if (need->inodes > UINT32_MAX - RESERVED_INODES)
		return error_set_kind(err, ERROR_INPUT, EFBIG, "more files than ext4 can number");
	all.blocks += opts->journal ? JOURNAL_BLOCKS + 8 : 0;
	if (ftruncate(fd, 0) < 0)
		return error_errno(err, errno, "cannot write the ext4 image");
	code = opts->size > 0 ? lay_out_sized(v, opts, &all) : lay_out(v, opts, &all);
	if (code)
		return volume_failed(v, code, "cannot lay out an ext4 file system");
	if (v->needed > 0)
		return 1;
	if (ftruncate(fd, (off_t)(ext2fs_blocks_count(v->fs->super) * EXT4_BLOCK_SIZE)) < 0)
		return error_errno(err, errno, "cannot write the ext4 image");
	describe_more(v->fs, opts);
	reserve(v->fs);
	v->goal = v->fs->super->s_first_data_block;
	if (opts->journal)
		code = ext2fs_add_journal_inode(
		    v->fs, JOURNAL_BLOCKS, EXT2_MKJOURNAL_NO_MNT_CHECK | EXT2_MKJOURNAL_LAZYINIT);
	return code ? volume_failed(v, code, "cannot write the journal of an ext4 image") : 0;
}

int volume_finish(struct volume *v, uint64_t *size)
{
	errcode_t code;

	*size = ext2fs_blocks_count(v->fs->super) * EXT4_BLOCK_SIZE;
	ext2fs_mark_super_dirty(v->fs);
	ext2fs_mark_bb_dirty(v->fs);
	ext2fs_mark_ib_dirty(v->fs);
	code = ext2fs_close2(v->fs, EXT2_FLAG_FLUSH_NO_SYNC);
	if (code)
		return volume_failed(v, code, "cannot write the ext4 image");
	v->fs = NULL;
	return 0;
}

void volume_free(struct volume *v)
{
	drop(v);
}

/* ---------------------------------------------------------------- giving out */

int runs_add(struct runs *r, uint64_t block, uint64_t blocks, struct error *err)
{
	r->blocks += blocks;
	if (r->n > 0) {
		struct run *last = &r->v[r->n - 1];
		uint64_t more = BLOCKS_PER_INSERT - last->blocks;

		if (last->block + last->blocks == block && last->at + last->blocks == r->end) {
			more = more < blocks ? more : blocks;
			last->blocks += (uint32_t)more;
			r->end += more;
			block += more;
			blocks -= more;
		}
	}
	while (blocks > 0) {
		uint64_t n = blocks < BLOCKS_PER_INSERT ? blocks : BLOCKS_PER_INSERT;

		if (r->n == r->room) {
			size_t room = r->room ? 2 * r->room : 8;
			struct run *v = reallocarray(r->v, room, sizeof(*v));

			if (!v)
				return error_set(err, ENOMEM, "no memory to write an ext4 image");
			r->v = v;
			r->room = room;
		}
		r->v[r->n++] = (struct run){block, r->end, (uint32_t)n};
		r->end += n;
		block += n;
		blocks -= n;
	}
	return 0;
}

void runs_free(struct runs *r)
{
	free(r->v);
	*r = (struct runs){0};
}

int volume_new_inode(struct volume *v, bool dir, ext2_ino_t *out)
{
	if (v->inode >= v->fs->super->s_inodes_count)
		return error_set(v->err, EIO, "more files came than were counted");
	*out = ++v->inode;
	ext2fs_inode_alloc_stats2(v->fs, *out, 1, dir);
	return 0;
}

int volume_allocate(struct volume *v, struct runs *runs, uint64_t blocks)
{
	while (blocks > 0) {
		blk64_t block, n;
		errcode_t code = ext2fs_new_range(v->fs, 0, v->goal, blocks, NULL, &block, &n);
		int r;

		if (code)
			return volume_failed(v, code, "cannot take blocks of an ext4 image");
		n = n < blocks ? n : blocks;
		ext2fs_block_alloc_stats_range(v->fs, block, (blk_t)n, 1);
		v->goal = block + n;
		if (v->goal >= ext2fs_blocks_count(v->fs->super))
			v->goal = v->fs->super->s_first_data_block;
		r = runs_add(runs, block, n, v->err);
		if (r < 0)
			return r;
		blocks -= n;
	}
	return 0;
}

/* ---------------------------------------------------------------- inodes */

/* 34 bits of seconds: those beyond 32 are the low two bits of the extra field, which goes on with
 * the nanoseconds (Documentation/filesystems/ext4/inodes.rst, "Inode Timestamps"). For a time
 * before 1901 or after 2446 the nearest is taken, as Linux does (timestamp_truncate()). */
static void set_times(struct ext2_inode_large *i, const struct erofs_stat *st)
{
	const int64_t first = INT32_MIN, last = first + (INT64_C(1) << 34) - 1;
	int64_t t = st->mtime;
	uint32_t ns = st->mtime_ns, epoch;

	if (t < first || t > last) {
		t = t < first ? first : last;
		ns = 0;
	}
	epoch = (uint32_t)((t - (int32_t)t) >> 32) & 3;
	i->i_atime = i->i_ctime = i->i_mtime = i->i_crtime = (uint32_t)t;
	i->i_atime_extra = i->i_ctime_extra = i->i_mtime_extra = i->i_crtime_extra =
	    ns << 2 | epoch;
}

static void fill_inode(struct ext2_inode_large *i, const struct erofs_stat *st)
{
	i->i_mode = (uint16_t)st->mode;
	i->i_uid = (uint16_t)st->uid;
	ext2fs_set_i_uid_high(*i, (uint16_t)(st->uid >> 16));
	i->i_gid = (uint16_t)st->gid;
	ext2fs_set_i_gid_high(*i, (uint16_t)(st->gid >> 16));
	i->i_links_count = (uint16_t)st->nlink;
	i->i_size = (uint32_t)st->size;
	i->i_size_high = (uint32_t)(st->size >> 32);
	set_times(i, st);
	i->i_extra_isize = INODE_EXTRA;
	if (!S_ISCHR(st->mode) && !S_ISBLK(st->mode))
		return;
	i->i_size = i->i_size_high = 0;
	if (st->rdev_major < 256 && st->rdev_minor < 256)
		i->i_block[0] = st->rdev_major << 8 | st->rdev_minor;
	else
		i->i_block[1] =
		    (st->rdev_minor & 0xff) | st->rdev_major << 8 | (st->rdev_minor & ~0xffu) << 12;
}

static errcode_t insert_runs(struct volume *v, ext2_ino_t ino, const struct runs *runs)
{
	struct ext2fs_extent extent = {0};
	ext2_extent_handle_t handle;
	errcode_t code = ext2fs_extent_open(v->fs, ino, &handle);

	if (code)
		return code;
	for (size_t i = 0; code == 0 && i < runs->n; i++) {
		extent.e_pblk = runs->v[i].block;
		extent.e_lblk = runs->v[i].at;
		extent.e_len = runs->v[i].blocks;
		code = ext2fs_extent_insert(handle, EXT2_EXTENT_INSERT_AFTER, &extent);
	}
	ext2fs_extent_free(handle);
	return code;
}

/* A file that is one hole: an extent tree without an extent (Documentation/filesystems/ext4/
 * ifork.rst, "Extent Tree"). */
static void no_extents(struct ext2_inode_large *i)
{
	const struct ext3_extent_header head = {.eh_magic = EXT3_EXT_MAGIC, .eh_max = 4};

	memcpy(i->i_block, &head, sizeof(head));
	i->i_flags |= EXT4_EXTENTS_FL;
}

static errcode_t put_inode(struct volume *v, ext2_ino_t ino, struct ext2_inode_large *inode)
{
	return ext2fs_write_inode_full(v->fs, ino, (struct ext2_inode *)inode, sizeof(*inode));
}

int volume_write_inode(struct volume *v, ext2_ino_t ino, const struct erofs_stat *st,
                       const struct runs *runs, uint32_t flags, const void *inline_data,
                       size_t inline_size)
{
	struct ext2_inode_large inode = {0};
	errcode_t code;

	fill_inode(&inode, st);
	inode.i_flags = flags;
	if (inline_size > 0)
		memcpy(inode.i_block, inline_data, inline_size);
	if (runs && runs->n > 0)
		inode.i_flags |= EXT4_EXTENTS_FL;
	else if (runs && S_ISREG(st->mode) && st->size > 0)
		no_extents(&inode);
	code = put_inode(v, ino, &inode);
	if (code == 0 && runs && runs->n > 0) {
		code = insert_runs(v, ino, runs);
		if (code == 0)
			code = ext2fs_read_inode_full(v->fs, ino, (struct ext2_inode *)&inode,
			                              sizeof(inode));
		if (code == 0)
			code = ext2fs_iblk_add_blocks(v->fs, (struct ext2_inode *)&inode,
			                              runs->blocks);
		if (code == 0)
			code = put_inode(v, ino, &inode);
	}
	return code ? volume_failed(v, code, "cannot write an inode of an ext4 image") : 0;
}
