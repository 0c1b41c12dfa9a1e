/* SPDX-License-Identifier: Apache-2.0 */
/* dir: entries into blocks (Documentation/filesystems/ext4/directory.rst, "Linear Directories"). */
#include "lib/ext4/dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static uint8_t file_type(uint32_t mode)
{
	static const uint8_t types[16] = {
	    [S_IFREG >> 12] = EXT2_FT_REG_FILE, [S_IFDIR >> 12] = EXT2_FT_DIR,
	    [S_IFCHR >> 12] = EXT2_FT_CHRDEV,   [S_IFBLK >> 12] = EXT2_FT_BLKDEV,
	    [S_IFIFO >> 12] = EXT2_FT_FIFO,     [S_IFSOCK >> 12] = EXT2_FT_SOCK,
	    [S_IFLNK >> 12] = EXT2_FT_SYMLINK,
	};

	return types[mode >> 12 & 15];
}

static struct ext2_dir_entry_2 *entry_at(struct dir *d, size_t at)
{
	return (struct ext2_dir_entry_2 *)(void *)(d->block + at);
}

static int flush(struct dir *d, struct volume *v)
{
	struct runs one = {0};
	errcode_t code;
	int r;

	/* The last entry takes what is left. */
	entry_at(d, d->last)->rec_len = (uint16_t)(DIR_BLOCK_ROOM - d->last);
	ext2fs_initialize_dirent_tail(v->fs, EXT2_DIRENT_TAIL(d->block, EXT4_BLOCK_SIZE));
	r = volume_allocate(v, &one, 1);
	if (r == 0)
		r = runs_add(&d->runs, one.v[0].block, 1, v->err);
	if (r == 0) {
		code = ext2fs_write_dir_block4(v->fs, one.v[0].block, d->block, 0, d->ino);
		if (code)
			r = volume_failed(v, code, "cannot write a directory of an ext4 image");
	}
	runs_free(&one);
	memset(d->block, 0, EXT4_BLOCK_SIZE);
	d->used = d->last = 0;
	d->st.size += EXT4_BLOCK_SIZE;
	return r;
}

static int put(struct dir *d, struct volume *v, const char *name, size_t len, ext2_ino_t ino,
               uint32_t mode)
{
	size_t size = dir_entry_size(len);
	struct ext2_dir_entry_2 *e;
	int r = 0;

	if (d->used + size > DIR_BLOCK_ROOM)
		r = flush(d, v);
	if (r < 0)
		return r;
	e = entry_at(d, d->used);
	e->inode = ino;
	e->rec_len = (uint16_t)size;
	e->name_len = (uint8_t)len;
	e->file_type = file_type(mode);
	memcpy(e->name, name, len);
	d->last = d->used;
	d->used += size;
	return 0;
}

int dir_open(struct dir *d, struct volume *v, ext2_ino_t ino, ext2_ino_t parent,
             const struct erofs_stat *st)
{
	int r;

	*d = (struct dir){.ino = ino, .parent = parent, .st = *st};
	d->st.nlink = 2;
	d->st.size = 0;
	d->block = calloc(1, EXT4_BLOCK_SIZE);
	if (!d->block)
		return error_set(v->err, ENOMEM, "no memory to write an ext4 image");
	r = put(d, v, ".", 1, ino, S_IFDIR);
	return r < 0 ? r : put(d, v, "..", 2, parent, S_IFDIR);
}

int dir_add(struct dir *d, struct volume *v, const char *name, size_t len, ext2_ino_t ino,
            uint32_t mode)
{
	d->st.nlink += S_ISDIR(mode);
	return put(d, v, name, len, ino, mode);
}

int dir_finish(struct dir *d, struct volume *v)
{
	int r = flush(d, v);

	if (r == 0 && d->st.nlink > EXT2_LINK_MAX)
		r = error_set_kind(v->err, ERROR_INPUT, EMLINK,
		                   "a directory has more than %d folders in it, which ext4 cannot "
		                   "hold",
		                   EXT2_LINK_MAX - 2);
	return r < 0 ? r : volume_write_inode(v, d->ino, &d->st, &d->runs, NULL, 0);
}

void dir_free(struct dir *d)
{
	runs_free(&d->runs);
	free(d->block);
	d->block = NULL;
}
