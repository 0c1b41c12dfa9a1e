/* SPDX-License-Identifier: Apache-2.0 */
/* io: reading and writing, straight from and to the module's memory. */
#include <fcntl.h>
#include <sys/uio.h>

#include "guest/wasi/errno.h"
#include "guest/wasi/memory.h"
#include "guest/wasi/table.h"

struct transfer {
	struct iovec iov[WASI_IOVECS_MAX];
	struct wasi_fd *f;
	int n;
};

static uint32_t transfer_init(struct transfer *t, const struct wasi *w, uint32_t fd,
                              uint64_t rights, uint32_t iovs, uint32_t n, uint32_t out)
{
	uint32_t e = wasi_fd_get(w, fd, rights, &t->f);

	if (e == WASI_SUCCESS)
		e = wasi_iovecs(w, iovs, n, t->iov);
	/* Before the data moves: it cannot be taken back. */
	if (e == WASI_SUCCESS && !wasi_bytes(w, out, sizeof(uint32_t)))
		e = WASI_FAULT;
	t->n = (int)n;
	return e;
}

/* The kernel moves less than 2 GiB at once: the number fits. */
static uint32_t moved(const struct wasi *w, ssize_t n, uint32_t out)
{
	return n < 0 ? wasi_errno(errno) : wasi_put_u32(w, out, (uint32_t)n);
}

uint32_t wasi_fd_read(struct wasi *w, uint32_t fd, uint32_t iovs, uint32_t n, uint32_t out)
{
	struct transfer t;
	uint32_t e = transfer_init(&t, w, fd, WASI_RIGHT_FD_READ, iovs, n, out);

	return e != WASI_SUCCESS ? e : moved(w, readv(t.f->fd, t.iov, t.n), out);
}

uint32_t wasi_fd_write(struct wasi *w, uint32_t fd, uint32_t iovs, uint32_t n, uint32_t out)
{
	struct transfer t;
	uint32_t e = transfer_init(&t, w, fd, WASI_RIGHT_FD_WRITE, iovs, n, out);

	return e != WASI_SUCCESS ? e : moved(w, writev(t.f->fd, t.iov, t.n), out);
}

static uint32_t seekable(const struct wasi *w, uint32_t fd)
{
	struct wasi_fd *f;
	uint32_t e = wasi_fd_get(w, fd, 0, &f);

	if (e != WASI_SUCCESS || f->type == WASI_TYPE_DIRECTORY || f->base & WASI_RIGHT_FD_SEEK)
		return e;
	return f->type == WASI_TYPE_REGULAR_FILE ? WASI_NOTCAPABLE : WASI_SPIPE;
}

uint32_t wasi_fd_pread(struct wasi *w, uint32_t fd, uint32_t iovs, uint32_t n, uint64_t offset,
                       uint32_t out)
{
	struct transfer t;
	uint32_t e = seekable(w, fd);

	if (e == WASI_SUCCESS)
		e = transfer_init(&t, w, fd, WASI_RIGHT_FD_READ, iovs, n, out);
	return e != WASI_SUCCESS ? e : moved(w, preadv(t.f->fd, t.iov, t.n, (off_t)offset), out);
}

/* pwrite(2) of Linux appends to a file opened for appending, wherever it is told to write;
 * fd_pwrite writes there. */
static ssize_t write_at(const struct transfer *t, off_t offset)
{
	int flags = fcntl(t->f->fd, F_GETFL), saved;
	ssize_t n;

	if (flags >= 0 && flags & O_APPEND)
		fcntl(t->f->fd, F_SETFL, flags & ~O_APPEND);
	n = pwritev(t->f->fd, t->iov, t->n, offset);
	saved = errno;
	if (flags >= 0 && flags & O_APPEND)
		fcntl(t->f->fd, F_SETFL, flags);
	errno = saved;
	return n;
}

uint32_t wasi_fd_pwrite(struct wasi *w, uint32_t fd, uint32_t iovs, uint32_t n, uint64_t offset,
                        uint32_t out)
{
	struct transfer t;
	uint32_t e = seekable(w, fd);

	if (e == WASI_SUCCESS)
		e = transfer_init(&t, w, fd, WASI_RIGHT_FD_WRITE, iovs, n, out);
	return e != WASI_SUCCESS ? e : moved(w, write_at(&t, (off_t)offset), out);
}
