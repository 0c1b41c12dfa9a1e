/* SPDX-License-Identifier: Apache-2.0 */
/* initrd: newc headers and contents, through zlib, into a file. */
#include "image-tool/initrd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "lib/base/fs.h"

#define CHUNK 65536

struct initrd {
	struct erofs_image *image;
	int fd;
	z_stream z;
	uint64_t at; /* bytes of the archive before packing */
	uint32_t ino;
	uint64_t *nids; /* of files with several names, seen so far; owned */
	uint32_t *inos;
	size_t n_links;
	uint8_t packed[CHUNK];
	struct error *err;
};

static int put(struct initrd *rd, const void *data, size_t size, int flush)
{
	int z;

	rd->z.next_in = (uint8_t *)(uintptr_t)data;
	rd->z.avail_in = (unsigned int)size;
	do {
		int r;

		rd->z.next_out = rd->packed;
		rd->z.avail_out = CHUNK;
		z = deflate(&rd->z, flush);
		r = fs_write_all(rd->fd, rd->packed, CHUNK - rd->z.avail_out);
		if (r < 0) {
			error_errno(rd->err, -r, "cannot write the initrd");
			if (rd->err)
				rd->err->kind = ERROR_ENVIRONMENT;
			return r;
		}
	} while (rd->z.avail_out == 0 && z == Z_OK);
	rd->at += size;
	return 0;
}

static int put_padding(struct initrd *rd)
{
	static const uint8_t zeros[4];

	return put(rd, zeros, (size_t)(-rd->at & 3), Z_NO_FLUSH);
}

/* The 110-byte header, the name with its NUL, padding to a multiple of 4. */
static int put_header(struct initrd *rd, const char *name, const struct erofs_stat *st,
                      uint32_t ino, uint32_t size)
{
	char header[111];
	int r;

	snprintf(header, sizeof(header),
	         "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ino, st->mode,
	         st->uid, st->gid, st->nlink, (uint32_t)st->mtime, size, 0, 0, st->rdev_major,
	         st->rdev_minor, (unsigned int)strlen(name) + 1, 0);
	r = put(rd, header, 110, Z_NO_FLUSH);
	if (r == 0)
		r = put(rd, name, strlen(name) + 1, Z_NO_FLUSH);
	return r < 0 ? r : put_padding(rd);
}

static int put_content(struct initrd *rd, const struct erofs_stat *st)
{
	uint8_t buf[CHUNK];
	uint64_t offset = 0;

	while (offset < st->size) {
		ssize_t n = erofs_pread(rd->image, st, buf, sizeof(buf), offset, rd->err);
		int r = n < 0 ? (int)n : put(rd, buf, (size_t)n, Z_NO_FLUSH);

		if (r < 0)
			return r;
		if (n == 0)
			return error_set(rd->err, EIO, "the root image ends early");
		offset += (uint64_t)n;
	}
	return put_padding(rd);
}

/* The inode number, and whether the content has been written under another name. */
static int number(struct initrd *rd, const struct erofs_stat *st, uint32_t *ino, bool *seen)
{
	uint64_t *nids;
	uint32_t *inos;

	*seen = false;
	*ino = ++rd->ino;
	if (st->nlink < 2 || S_ISDIR(st->mode))
		return 0;
	for (size_t i = 0; i < rd->n_links; i++) {
		if (rd->nids[i] != st->nid)
			continue;
		*seen = true;
		*ino = rd->inos[i];
		return 0;
	}
	nids = reallocarray(rd->nids, rd->n_links + 1, sizeof(*nids));
	if (nids)
		rd->nids = nids;
	inos = reallocarray(rd->inos, rd->n_links + 1, sizeof(*inos));
	if (inos)
		rd->inos = inos;
	if (!nids || !inos)
		return error_set(rd->err, ENOMEM, "no memory to write the initrd");
	nids[rd->n_links] = st->nid;
	inos[rd->n_links++] = *ino;
	return 0;
}

static int refuse_xattr(const char *name, const void *value, size_t size, void *data)
{
	return 1;
}

static int put_entry(const char *path, const struct erofs_stat *st, void *data)
{
	struct initrd *rd = data;
	bool seen = false, content = S_ISREG(st->mode) || S_ISLNK(st->mode);
	uint32_t ino;
	int r;

	if (!*path)
		return 0;
	r = erofs_xattrs(rd->image, st, refuse_xattr, NULL, rd->err);
	if (r > 0)
		return error_set_kind(rd->err, ERROR_INPUT, EOPNOTSUPP,
		                      "/%s has extended attributes, which an initrd cannot hold; "
		                      "use --format erofs",
		                      path);
	if (r == 0 && content && st->size > UINT32_MAX)
		return error_set_kind(rd->err, ERROR_INPUT, EFBIG,
		                      "/%s is too large for an initrd; use --format erofs", path);
	if (r == 0)
		r = number(rd, st, &ino, &seen);
	content = content && !seen;
	if (r == 0)
		r = put_header(rd, path, st, ino, content ? (uint32_t)st->size : 0);
	return r == 0 && content ? put_content(rd, st) : r;
}

int initrd_write(struct erofs_image *image, int out_fd, struct error *err)
{
	static const struct erofs_stat none = {.nlink = 1};
	struct initrd *rd = calloc(1, sizeof(*rd));
	int r = 0;

	/* 15 + 16: a gzip frame. zlib leaves its time 0, as it should be here. */
	if (!rd || deflateInit2(&rd->z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(rd);
		return error_set(err, ENOMEM, "no memory to write the initrd");
	}
	rd->image = image;
	rd->fd = out_fd;
	rd->err = err;
	r = erofs_walk(image, put_entry, rd, err);
	if (r == 0)
		r = put_header(rd, "TRAILER!!!", &none, 0, 0);
	if (r == 0)
		r = put(rd, "", 0, Z_FINISH);
	deflateEnd(&rd->z);
	free(rd->nids);
	free(rd->inos);
	free(rd);
	return r;
}
