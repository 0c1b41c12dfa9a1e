/* SPDX-License-Identifier: Apache-2.0 */
/* sock: what a server does with the sockets it was given. Connecting is not in preview 1. */
#include <sys/socket.h>

#include "guest/wasi/errno.h"
#include "guest/wasi/memory.h"
#include "guest/wasi/table.h"

static uint32_t socket_get(const struct wasi *w, uint32_t fd, uint64_t rights, struct wasi_fd **out)
{
	uint32_t e = wasi_fd_get(w, fd, 0, out);

	if (e != WASI_SUCCESS)
		return e;
	if ((*out)->type != WASI_TYPE_SOCKET_STREAM && (*out)->type != WASI_TYPE_SOCKET_DGRAM)
		return WASI_NOTSOCK;
	return wasi_fd_get(w, fd, rights, out);
}

uint32_t wasi_sock_accept(struct wasi *w, uint32_t fd, uint32_t flags, uint32_t out)
{
	struct wasi_fd *f;
	uint32_t e = socket_get(w, fd, WASI_RIGHT_SOCK_ACCEPT, &f), accepted;
	int s;

	if (e != WASI_SUCCESS)
		return e;
	if (flags & ~(uint32_t)WASI_FDFLAG_NONBLOCK)
		return WASI_INVAL;
	if (!wasi_bytes(w, out, sizeof(uint32_t)))
		return WASI_FAULT;
	s = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC | (flags ? SOCK_NONBLOCK : 0));
	if (s < 0)
		return wasi_errno(errno);
	e = wasi_fd_add(w, s, WASI_RIGHTS_ALL & ~WASI_RIGHT_SOCK_ACCEPT, 0, &accepted);
	return e != WASI_SUCCESS ? e : wasi_put_u32(w, out, accepted);
}

uint32_t wasi_sock_recv(struct wasi *w, uint32_t fd, uint32_t iovs, uint32_t n, uint32_t flags,
                        uint32_t out, uint32_t out_flags)
{
	struct iovec iov[WASI_IOVECS_MAX];
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (int)n};
	struct wasi_fd *f;
	uint32_t e = socket_get(w, fd, WASI_RIGHT_FD_READ, &f);
	uint8_t *p;
	ssize_t got;

	if (e == WASI_SUCCESS)
		e = wasi_iovecs(w, iovs, n, iov);
	if (e != WASI_SUCCESS)
		return e;
	if (flags & ~(uint32_t)(WASI_RECV_PEEK | WASI_RECV_WAITALL))
		return WASI_INVAL;
	p = wasi_bytes(w, out_flags, sizeof(uint16_t));
	if (!p || !wasi_bytes(w, out, sizeof(uint32_t)))
		return WASI_FAULT;
	got = recvmsg(f->fd, &msg,
	              (flags & WASI_RECV_PEEK ? MSG_PEEK : 0) |
	                  (flags & WASI_RECV_WAITALL ? MSG_WAITALL : 0));
	if (got < 0)
		return wasi_errno(errno);
	p[0] = msg.msg_flags & MSG_TRUNC ? WASI_RECV_TRUNCATED : 0;
	p[1] = 0;
	return wasi_put_u32(w, out, (uint32_t)got);
}

uint32_t wasi_sock_send(struct wasi *w, uint32_t fd, uint32_t iovs, uint32_t n, uint32_t flags,
                        uint32_t out)
{
	struct iovec iov[WASI_IOVECS_MAX];
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (int)n};
	struct wasi_fd *f;
	uint32_t e = socket_get(w, fd, WASI_RIGHT_FD_WRITE, &f);
	ssize_t sent;

	if (e == WASI_SUCCESS)
		e = wasi_iovecs(w, iovs, n, iov);
	if (e != WASI_SUCCESS)
		return e;
	if (flags != 0)
		return WASI_INVAL;
	if (!wasi_bytes(w, out, sizeof(uint32_t)))
		return WASI_FAULT;
	sent = sendmsg(f->fd, &msg, MSG_NOSIGNAL);
	return sent < 0 ? wasi_errno(errno) : wasi_put_u32(w, out, (uint32_t)sent);
}

uint32_t wasi_sock_shutdown(struct wasi *w, uint32_t fd, uint32_t how)
{
	static const int hows[] = {
	    [WASI_SHUT_RD] = SHUT_RD,
	    [WASI_SHUT_WR] = SHUT_WR,
	    [WASI_SHUT_RD | WASI_SHUT_WR] = SHUT_RDWR,
	};
	struct wasi_fd *f;
	uint32_t e = socket_get(w, fd, WASI_RIGHT_SOCK_SHUTDOWN, &f);

	if (e != WASI_SUCCESS)
		return e;
	if (how == 0 || how >= sizeof(hows) / sizeof(*hows))
		return WASI_INVAL;
	return wasi_result(shutdown(f->fd, hows[how]));
}
