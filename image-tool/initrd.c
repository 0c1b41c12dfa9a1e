/* SPDX-License-Identifier: Apache-2.0 */
/* initrd: newc headers and contents, through a packer, into a file. */
#include "image-tool/initrd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image-tool/packer.h"
#include "image-tool/tool.h"
#include "lib/erofs/format.h"
#include "lib/erofs/links.h"

#define CHUNK   65536
#define TRAILER "TRAILER!!!"

struct initrd {
	struct erofs_image *image;
	struct packer *packer;
	uint64_t at; /* bytes of the archive before packing */
	uint32_t ino;
	struct links links; /* of files with several names */
	struct error *err;
	uint8_t buf[CHUNK];
};

static int put(struct initrd *rd, const void *data, size_t size)
{
	rd->at += size;
	return packer_write(rd->packer, data, size, rd->err);
}

static int put_padding(struct initrd *rd)
{
	static const uint8_t zeros[4];

	return put(rd, zeros, (size_t)(-rd->at & 3));
}

/* Eight digits, which Linux takes for a number without a sign: times before 1970 are 1970. */
static uint32_t header_time(int64_t mtime)
{
	if (mtime < 0)
		return 0;
	return mtime > UINT32_MAX ? UINT32_MAX : (uint32_t)mtime;
}

/* The 110-byte header, the name with its NUL, padding to a multiple of 4. */
static int put_header(struct initrd *rd, const char *name, const struct erofs_stat *st,
                      uint32_t ino, uint32_t size)
{
	char header[111];
	int r;

	snprintf(header, sizeof(header),
	         "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ino, st->mode,
	         st->uid, st->gid, st->nlink, header_time(st->mtime), size, 0, 0, st->rdev_major,
	         st->rdev_minor, (unsigned int)strlen(name) + 1, 0);
	r = put(rd, header, 110);
	if (r == 0)
		r = put(rd, name, strlen(name) + 1);
	return r < 0 ? r : put_padding(rd);
}

static int put_content(struct initrd *rd, const struct erofs_stat *st)
{
	uint64_t offset = 0;

	while (offset < st->size) {
		ssize_t n = erofs_pread(rd->image, st, rd->buf, sizeof(rd->buf), offset, rd->err);
		int r = n < 0 ? (int)n : put(rd, rd->buf, (size_t)n);

		if (r == 0 && tool_interrupted())
			r = error_set(rd->err, EINTR, "interrupted");
		if (r < 0)
			return r;
		if (n == 0)
			return error_set(rd->err, EIO, "the root image ends early");
		offset += (uint64_t)n;
	}
	return put_padding(rd);
}

/* The inode number, and whether more names of the file are to come. The kernel makes symbolic links
 * from each name alone, so each has its target. */
static int number(struct initrd *rd, const struct erofs_stat *st, uint32_t *ino, bool *more)
{
	struct link *link;

	*more = false;
	if (st->nlink < 2 || S_ISDIR(st->mode)) {
		*ino = ++rd->ino;
		return 0;
	}
	link = links_get(&rd->links, st->nid);
	if (!link)
		return error_set(rd->err, ENOMEM, "no memory to write the initrd");
	if (link->names++ == 0)
		link->ino = ++rd->ino;
	*ino = link->ino;
	*more = S_ISREG(st->mode) && link->names < st->nlink;
	return 0;
}

static int refuse_xattr(const char *name, const void *value, size_t size, void *data)
{
	return 1;
}

static int check_entry(struct initrd *rd, const char *path, const struct erofs_stat *st)
{
	char q[EROFS_QUOTE_MAX];
	int r = erofs_xattrs(rd->image, st, refuse_xattr, NULL, rd->err);

	erofs_quote(q, sizeof(q), path, strlen(path));
	/* The kernel would take it for the archive's end, and leave it out. */
	if (strcmp(path, TRAILER) == 0)
		return error_set_kind(rd->err, ERROR_INPUT, EINVAL,
		                      "/%s has the name that ends an initrd; rename it, or use "
		                      "--format erofs",
		                      q);
	if (r > 0)
		return error_set_kind(rd->err, ERROR_INPUT, EOPNOTSUPP,
		                      "/%s has extended attributes, which an initrd cannot hold; "
		                      "use --format erofs",
		                      q);
	if (r == 0 && S_ISREG(st->mode) && st->size > UINT32_MAX)
		return error_set_kind(rd->err, ERROR_INPUT, EFBIG,
		                      "/%s is too large for an initrd; use --format erofs", q);
	return r;
}

static int put_entry(const char *path, const struct erofs_stat *st, void *data)
{
	bool more = false, content = S_ISREG(st->mode) || S_ISLNK(st->mode);
	struct initrd *rd = data;
	uint32_t ino = 0;
	int r;

	if (!*path)
		return 0;
	r = tool_interrupted() ? error_set(rd->err, EINTR, "interrupted")
	                       : check_entry(rd, path, st);
	if (r == 0)
		r = number(rd, st, &ino, &more);
	content = content && !more;
	if (r == 0)
		r = put_header(rd, path, st, ino, content ? (uint32_t)st->size : 0);
	return r == 0 && content ? put_content(rd, st) : r;
}

static int write_archive(struct initrd *rd)
{
	static const struct erofs_stat none = {.nlink = 1};
	struct erofs_check_result checked;
	/* Content comes with a file's last name: its link count is relied on. */
	int r = erofs_check(rd->image, &checked, rd->err);

	if (r == 0)
		r = erofs_walk(rd->image, put_entry, rd, rd->err);
	if (r == 0)
		r = put_header(rd, TRAILER, &none, 0, 0);
	return r < 0 ? r : packer_finish(rd->packer, rd->err);
}

int initrd_write(struct erofs_image *image, int out_fd, const struct compression *how,
                 struct error *err)
{
	_cleanup_packer_ struct packer *packer = NULL;
	struct initrd *rd = calloc(1, sizeof(*rd));
	int r;

	if (!rd)
		return error_set(err, ENOMEM, "no memory to write the initrd");
	r = packer_new(&packer, how, out_fd, err);
	rd->image = image;
	rd->packer = packer;
	rd->err = err;
	if (r == 0)
		r = write_archive(rd);
	links_free(&rd->links);
	free(rd);
	return r;
}
