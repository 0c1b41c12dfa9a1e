/* SPDX-License-Identifier: Apache-2.0 */
/* dir: keeps names, and writes them as one block or hands them to htree.c. */
#include "lib/ext4/dir.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/erofs/tree.h"
#include "lib/ext4/htree.h"

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

int dir_open(struct dir *d, ext2_ino_t ino, ext2_ino_t parent, const struct erofs_stat *st)
{
	*d = (struct dir){.ino = ino, .parent = parent, .st = *st, .bytes = DIR_DOTS};
	d->st.nlink = 2;
	d->st.size = 0;
	return 0;
}

int dir_add(struct dir *d, struct volume *v, const char *name, size_t len, ext2_ino_t ino,
            uint32_t mode)
{
	const uint8_t head[2] = {file_type(mode), (uint8_t)len};

	d->st.nlink += S_ISDIR(mode);
	buffer_le32(&d->names, ino);
	buffer_append(&d->names, head, sizeof(head));
	buffer_append(&d->names, name, len);
	d->n++;
	d->bytes += dir_entry_size(len);
	return d->names.failed ? error_set(v->err, ENOMEM, "no memory to write an ext4 image") : 0;
}

struct dir_name dir_name_at(const struct dir *d, size_t at)
{
	const uint8_t *p = d->names.data + at;

	return (struct dir_name){get_le32(p), p[4], p[5], (const char *)p + DIR_NAME_HEAD};
}

/* ---------------------------------------------------------------- blocks */

static struct ext2_dir_entry_2 *entry_at(struct dir_block *b, size_t at)
{
	return (struct ext2_dir_entry_2 *)(void *)(b->bytes + at);
}

void dir_block_clear(struct dir_block *b)
{
	memset(b, 0, sizeof(*b));
}

bool dir_block_add(struct dir_block *b, const struct dir_name *name)
{
	size_t size = dir_entry_size(name->len);
	struct ext2_dir_entry_2 *e = entry_at(b, b->used);

	if (b->used + size > DIR_BLOCK_ROOM)
		return false;
	e->inode = name->ino;
	e->rec_len = (uint16_t)size;
	e->name_len = name->len;
	e->file_type = name->type;
	memcpy(e->name, name->text, name->len);
	b->last = b->used;
	b->used += size;
	return true;
}

void dir_block_close(struct dir_block *b, struct volume *v)
{
	entry_at(b, b->last)->rec_len = (uint16_t)(DIR_BLOCK_ROOM - b->last);
	ext2fs_initialize_dirent_tail(v->fs, EXT2_DIRENT_TAIL(b->bytes, EXT4_BLOCK_SIZE));
}

uint64_t dir_blocks(uint64_t bytes)
{
	/* Names of up to 255 bytes leave up to 263 of a block empty. */
	uint64_t leaves = bytes / (DIR_BLOCK_ROOM - dir_entry_size(EROFS_NAME_MAX)) + 1;

	return bytes <= DIR_BLOCK_ROOM ? 1 : leaves + htree_index_blocks(leaves);
}

/* ---------------------------------------------------------------- writing */

static int write_block(struct dir *d, struct volume *v, struct runs *runs)
{
	const struct dir_name dots[] = {{d->ino, EXT2_FT_DIR, 1, "."},
	                                {d->parent, EXT2_FT_DIR, 2, ".."}};
	struct dir_block block;
	errcode_t code;
	int r;

	dir_block_clear(&block);
	for (size_t i = 0; i < 2; i++)
		dir_block_add(&block, &dots[i]);
	for (size_t at = 0; at < d->names.size;) {
		const struct dir_name name = dir_name_at(d, at);

		dir_block_add(&block, &name);
		at += DIR_NAME_HEAD + name.len;
	}
	dir_block_close(&block, v);
	r = volume_allocate(v, runs, 1);
	if (r < 0)
		return r;
	code = ext2fs_write_dir_block4(v->fs, runs->v[0].block, block.bytes, 0, d->ino);
	return code ? volume_failed(v, code, "cannot write a directory of an ext4 image") : 0;
}

int dir_finish(struct dir *d, struct volume *v)
{
	_cleanup_runs_ struct runs runs = {0};
	bool indexed = d->bytes > DIR_BLOCK_ROOM;
	int r;

	if (d->st.nlink > EXT2_LINK_MAX)
		return error_set_kind(v->err, ERROR_INPUT, EMLINK,
		                      "a directory has more than %d folders in it, which ext4 "
		                      "cannot hold",
		                      EXT2_LINK_MAX - 2);
	r = indexed ? htree_write(d, v, &runs) : write_block(d, v, &runs);
	d->st.size = runs.blocks * EXT4_BLOCK_SIZE;
	return r < 0 ? r
	             : volume_write_inode(v, d->ino, &d->st, &runs, indexed ? EXT2_INDEX_FL : 0,
	                                  NULL, 0);
}

void dir_free(struct dir *d)
{
	buffer_free(&d->names);
}
