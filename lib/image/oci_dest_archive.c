/* SPDX-License-Identifier: Apache-2.0 */
/* oci_dest_archive: POSIX ustar headers (IEEE Std 1003.1, pax), GNU's base-256 for large sizes. */
#include "lib/image/oci_dest_archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/image/tar_header.h"

#define SIZE_OCTAL_MAX 077777777777ULL
#define NAME_SIZE      100
#define PIECE          (256u * 1024)

static void put_size(uint8_t *block, uint64_t size)
{
	if (size <= SIZE_OCTAL_MAX) {
		snprintf((char *)block + TAR_AT_SIZE, 12, "%011llo", (unsigned long long)size);
		return;
	}
	memset(block + TAR_AT_SIZE, 0, 12);
	block[TAR_AT_SIZE] = 0x80;
	for (int i = 0; i < 8; i++)
		block[TAR_AT_SIZE + 11 - i] = (uint8_t)(size >> (8 * i));
}

static int put_header(const char *name, char type, uint64_t size, int out_fd, struct error *err)
{
	uint8_t block[TAR_BLOCK] = {0};
	unsigned int sum = 0;
	int r;

	if (strlen(name) >= NAME_SIZE)
		return error_set(err, ENAMETOOLONG, "\"%s\" is too long for an archive", name);
	memcpy(block + TAR_AT_NAME, name, strlen(name));
	memcpy(block + TAR_AT_MODE, type == '5' ? "0000755" : "0000644", 7);
	memcpy(block + TAR_AT_UID, "0000000", 7);
	memcpy(block + TAR_AT_GID, "0000000", 7);
	put_size(block, size);
	memcpy(block + TAR_AT_MTIME, "00000000000", 11);
	memset(block + TAR_AT_CHECKSUM, ' ', 8);
	block[TAR_AT_TYPE] = (uint8_t)type;
	memcpy(block + TAR_AT_MAGIC, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(block); i++)
		sum += block[i];
	snprintf((char *)block + TAR_AT_CHECKSUM, 8, "%06o", sum);
	r = fs_write_all(out_fd, block, sizeof(block));
	return r ? error_errno(err, -r, "cannot write the archive") : 0;
}

static int copy(int fd, uint64_t size, int out_fd, struct error *err)
{
	static const uint8_t zeros[TAR_BLOCK];
	_cleanup_free_ uint8_t *buf = malloc(PIECE);
	int r;

	if (!buf)
		return error_set(err, ENOMEM, "out of memory");
	for (uint64_t at = 0; at < size;) {
		size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;

		r = fs_pread_all(fd, buf, n, at);
		if (r)
			return error_errno(err, -r, "cannot read what goes into the archive");
		r = fs_write_all(out_fd, buf, n);
		if (r)
			return error_errno(err, -r, "cannot write the archive");
		at += n;
	}
	r = fs_write_all(out_fd, zeros, -size & (TAR_BLOCK - 1));
	return r ? error_errno(err, -r, "cannot write the archive") : 0;
}

static int put_file(int dir_fd, const char *path, int out_fd, struct error *err)
{
	_cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "cannot read %s", path);
	r = put_header(path, '0', (uint64_t)st.st_size, out_fd, err);
	return r ? r : copy(fd, (uint64_t)st.st_size, out_fd, err);
}

/* The folders of a path that the one before it is not in. */
static int put_folders(const char *before, const char *path, int out_fd, struct error *err)
{
	char name[NAME_SIZE];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t n = (size_t)(slash - path) + 1;
		int r;

		if (n >= sizeof(name) || !strncmp(before, path, n))
			continue;
		memcpy(name, path, n);
		name[n] = '\0';
		r = put_header(name, '5', 0, out_fd, err);
		if (r)
			return r;
	}
	return 0;
}

int archive_write(int dir_fd, const char *const *paths, size_t n, int out_fd, struct error *err)
{
	static const uint8_t end[2 * TAR_BLOCK];
	int r = 0;

	for (size_t i = 0; !r && i < n; i++) {
		r = put_folders(i ? paths[i - 1] : "", paths[i], out_fd, err);
		if (!r)
			r = put_file(dir_fd, paths[i], out_fd, err);
	}
	if (r)
		return r;
	r = fs_write_all(out_fd, end, sizeof(end));
	return r ? error_errno(err, -r, "cannot write the archive") : 0;
}
