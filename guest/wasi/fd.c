/* SPDX-License-Identifier: Apache-2.0 */
/* fd: functions on an open descriptor, but those that move data (io.c) or list (readdir.c). */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/wasi/errno.h"
#include "guest/wasi/filestat.h"
#include "guest/wasi/flags.h"
#include "guest/wasi/memory.h"
#include "guest/wasi/table.h"
#include "lib/base/bytes.h"

uint32_t wasi_fd_advise(struct wasi *w, uint32_t fd, uint64_t offset, uint64_t size,
                        uint32_t advice)
{
	static const int advices[] = {
	    POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
	    POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE,
	};
	struct wasi_fd *f;
	uint32_t e = wasi_fd_get(w, fd, WASI_RIGHT_FD_ADVISE, &f);

	if (e != WASI_SUCCESS)
		return e;
	if (advice >= sizeof(advices) / sizeof(*advices) || offset > INT64_MAX || size > INT64_MAX)
		return WASI_INVAL;
	/* Unlike others, it returns the number of the error. */
	return wasi_errno(posix_fadvise(f->fd, (off_t)offset, (off_t)size, advices[advice]));
}

uint32_t wasi_fd_allocate(struct wasi *w, uint32_t fd, uint64_t offset, uint64_t size)
{
	struct wasi_fd *f;
	uint32_t e = wasi_fd_get(w, fd, WASI_RIGHT_FD_ALLOCATE, &f);

	if (e != WASI_SUCCESS)
		return e;
	if (offset > INT64_MAX || size > INT64_MAX)
		return WASI_FBIG;
	return wasi_result(fallocate(f->fd, 0, (off_t)offset, (off_t)size));
}

uint32_t wasi_fd_close(struct wasi *w, uint32_t fd)
{
	struct wasi_fd *f;
	uint32_t e = wasi_fd_get(w, fd, 0, &f);

	return e != WASI_SUCCESS ? e : wasi_fd_drop(f);
}

uint32_t wasi_fd_datasync(struct wasi *w, uint32_t fd)
{
	struct wasi_fd *f;
	uint32_t e = wasi_fd_get(w, fd, WASI_RIGHT_FD_DATASYNC, &f);

	return e != WASI_SUCCESS ? e : wasi_result(fdatasync(f->fd));
}

uint32_t wasi_fd_sync(struct wasi *w, uint32_t fd)
{
	struct wasi_fd *f;
	uint32_t e = wasi_fd_get(w, fd, WASI_RIGHT_FD_SYNC, &f);

	return e != WASI_SUCCESS ? e : wasi_result(fsync(f->fd));
}

uint32_t wasi_fd_fdstat_get(struct wasi *w, uint32_t fd, uint32_t out)
{
	struct wasi_fd *f;
	uint32_t e = wasi_fd_get(w, fd, 0, &f);
	uint8_t *p;
	int flags;

	if (e != WASI_SUCCESS)
		return e;
	p = wasi_bytes(w, out, WASI_FDSTAT_SIZE);
	if (!p)
		return WASI_FAULT;
	flags = fcntl(f->fd, F_GETFL);
	if (flags < 0)
		return wasi_errno(errno);
	memset(p, 0, WASI_FDSTAT_SIZE);
	p[0] = (uint8_t)f->type;
	put_le16(p + 2, (uint16_t)wasi_from_open_flags(flags));
	put_le64(p + 8, f->base);
	put_le64(p + 16, f->inheriting);
	return WASI_SUCCESS;
}

uint32_t wasi_fd_fdstat_set_flags(struct wasi *w, uint32_t fd, uint32_t flags)
{
	const int changeable = O_APPEND | O_NONBLOCK, synchronous = O_SYNC | O_DSYNC;
	struct wasi_fd *f;
	uint32_t e = wasi_fd_get(w, fd, WASI_RIGHT_FD_FDSTAT_SET_FLAGS, &f);
	int now, wanted = wasi_to_open_flags(flags);

	if (e != WASI_SUCCESS)
		return e;
	if (flags & ~(uint32_t)WASI_FDFLAGS_ALL)
		return WASI_INVAL;
	now = fcntl(f->fd, F_GETFL);
	if (now < 0)
		return wasi_errno(errno);
	/* fcntl(2) ignores these without a word. */
	if ((now & synchronous) != (wanted & synchronous))
		return WASI_NOTSUP;
	return wasi_result(fcntl(f->fd, F_SETFL, (now & ~changeable) | wanted));
}

uint32_t wasi_fd_fdstat_set_rights(struct wasi *w, uint32_t fd, uint64_t base, uint64_t inheriting)
{
	struct wasi_fd *f;
	uint32_t e = wasi_fd_get(w, fd, 0, &f);

	if (e != WASI_SUCCESS)
		return e;
	/* They can be given up, never taken back. */
	if (base & ~f->base || inheriting & ~f->inheriting)
		return WASI_NOTCAPABLE;
	f->base = base;
	f->inheriting = inheriting;
	return WASI_SUCCESS;
}

uint32_t wasi_fd_filestat_get(struct wasi *w, uint32_t fd, uint32_t out)
{
	struct wasi_fd *f;
	uint32_t e = wasi_fd_get(w, fd, WASI_RIGHT_FD_FILESTAT_GET, &f);
	struct stat st;

	if (e != WASI_SUCCESS)
		return e;
	if (fstat(f->fd, &st) < 0)
		return wasi_errno(errno);
	return wasi_filestat_put(w, out, &st, f->type);
}

uint32_t wasi_fd_filestat_set_size(struct wasi *w, uint32_t fd, uint64_t size)
{
	struct wasi_fd *f;
	uint32_t e = wasi_fd_get(w, fd, WASI_RIGHT_FD_FILESTAT_SET_SIZE, &f);

	if (e != WASI_SUCCESS)
		return e;
	if (size > INT64_MAX)
		return WASI_INVAL;
	return wasi_result(ftruncate(f->fd, (off_t)size));
}

uint32_t wasi_fd_filestat_set_times(struct wasi *w, uint32_t fd, uint64_t atim, uint64_t mtim,
                                    uint32_t flags)
{
	struct timespec times[2];
	struct wasi_fd *f;
	uint32_t e = wasi_fd_get(w, fd, WASI_RIGHT_FD_FILESTAT_SET_TIMES, &f);

	if (e == WASI_SUCCESS)
		e = wasi_times(atim, mtim, flags, times);
	return e != WASI_SUCCESS ? e : wasi_result(futimens(f->fd, times));
}

uint32_t wasi_fd_prestat_get(struct wasi *w, uint32_t fd, uint32_t out)
{
	/* The only tag that there is (0) is a directory's. C libraries look at one descriptor after
	 * the other until WASI_BADF, so a socket among them must not end the search: it has a tag
	 * of its own, which they skip. */
	enum { TAG_DIRECTORY = 0, TAG_SOCKET = 1 };
	struct wasi_fd *f;
	uint32_t e = wasi_fd_get(w, fd, 0, &f);
	uint8_t *p;

	if (e != WASI_SUCCESS)
		return e;
	if (!f->preopen && !f->preopened_socket)
		return WASI_BADF;
	p = wasi_bytes(w, out, WASI_PRESTAT_SIZE);
	if (!p)
		return WASI_FAULT;
	put_le32(p, f->preopen ? TAG_DIRECTORY : TAG_SOCKET);
	put_le32(p + 4, f->preopen ? (uint32_t)strlen(f->preopen) : 0);
	return WASI_SUCCESS;
}

uint32_t wasi_fd_prestat_dir_name(struct wasi *w, uint32_t fd, uint32_t buf, uint32_t size)
{
	struct wasi_fd *f;
	uint32_t e = wasi_fd_get(w, fd, 0, &f);
	size_t length;
	uint8_t *p;

	if (e != WASI_SUCCESS)
		return e;
	if (!f->preopen)
		return f->type == WASI_TYPE_DIRECTORY ? WASI_BADF : WASI_NOTDIR;
	length = strlen(f->preopen);
	if (size < length)
		return WASI_NAMETOOLONG;
	p = wasi_bytes(w, buf, length);
	if (!p)
		return WASI_FAULT;
	memcpy(p, f->preopen, length);
	return WASI_SUCCESS;
}

uint32_t wasi_fd_renumber(struct wasi *w, uint32_t fd, uint32_t to)
{
	struct wasi_fd *from, *target;
	uint32_t e = wasi_fd_get(w, fd, 0, &from);

	if (e == WASI_SUCCESS)
		e = wasi_fd_get(w, to, 0, &target);
	if (e != WASI_SUCCESS || from == target)
		return e;
	wasi_fd_drop(target);
	*target = *from;
	*from = (struct wasi_fd){.fd = -1};
	return WASI_SUCCESS;
}

uint32_t wasi_fd_seek(struct wasi *w, uint32_t fd, uint64_t offset, uint32_t whence, uint32_t out)
{
	static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
	struct wasi_fd *f;
	uint32_t e = wasi_fd_get(w, fd, 0, &f);
	uint64_t right;
	off_t at;

	if (e != WASI_SUCCESS)
		return e;
	if (whence >= sizeof(whences) / sizeof(*whences))
		return WASI_INVAL;
	/* To ask where it is is to tell. */
	right =
	    offset == 0 && whences[whence] == SEEK_CUR ? WASI_RIGHT_FD_TELL : WASI_RIGHT_FD_SEEK;
	if (!(f->base & (right | WASI_RIGHT_FD_SEEK))) {
		if (f->type != WASI_TYPE_DIRECTORY && f->type != WASI_TYPE_REGULAR_FILE)
			return WASI_SPIPE;
		return wasi_fd_get(w, fd, right, &f);
	}
	if (!wasi_bytes(w, out, sizeof(uint64_t)))
		return WASI_FAULT;
	at = lseek(f->fd, (off_t)offset, whences[whence]);
	return at < 0 ? wasi_errno(errno) : wasi_put_u64(w, out, (uint64_t)at);
}

uint32_t wasi_fd_tell(struct wasi *w, uint32_t fd, uint32_t out)
{
	enum { WHENCE_CUR = 1 };

	return wasi_fd_seek(w, fd, 0, WHENCE_CUR, out);
}
