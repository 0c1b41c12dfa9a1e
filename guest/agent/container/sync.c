/* SPDX-License-Identifier: Apache-2.0 */
/* sync: messages of a fixed layout over SOCK_SEQPACKET, descriptors by SCM_RIGHTS. */
#include "guest/agent/container/sync.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

#define HEAD offsetof(struct sync_message, text)

int sync_pair(int fds[2], struct error *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return error_errno(err, errno, "making a socket pair");
	return 0;
}

static int send_message(int fd, const struct sync_message *m, size_t size, int fd_to_pass)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)m, size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd_to_pass >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd_to_pass, sizeof(int));
	}
	for (;;) {
		if (sendmsg(fd, &msg, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

int sync_send(int fd, enum sync_type type, int code, int fd_to_pass)
{
	struct sync_message m = {.type = type, .code = code};

	return send_message(fd, &m, HEAD, fd_to_pass);
}

int sync_send_error(int fd, const struct error *error)
{
	struct sync_message m = {
	    .type = SYNC_ERROR, .code = error->code, .kind = (uint32_t)error->kind};
	size_t n = strnlen(error->text, sizeof(m.text) - 1);

	memcpy(m.text, error->text, n);
	return send_message(fd, &m, HEAD + n + 1, -1);
}

int sync_recv(int fd, struct sync_message *m, int *passed_fd, int flags)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {m, sizeof(*m)};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = control.space,
	                     .msg_controllen = sizeof(control.space)};
	ssize_t n;

	memset(m, 0, sizeof(*m));
	*passed_fd = -1;
	/* ECONNRESET is told once, of a peer that ended without reading all that it was sent: what
	 * it said itself, and the end of file, come after it. */
	do
		n = recvmsg(fd, &msg, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return -errno;
	if (n == 0)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		    c->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(passed_fd, CMSG_DATA(c), sizeof(int));
	if ((size_t)n < HEAD) {
		close_fd(passed_fd);
		return -EPROTO;
	}
	m->text[sizeof(m->text) - 1] = 0;
	return 1;
}

int sync_take_error(const struct sync_message *m, struct error *err)
{
	int code = m->code < 0 ? m->code : -EIO;

	if (err) {
		err->code = code;
		err->kind = m->kind <= ERROR_VERIFICATION ? (enum error_kind)m->kind : ERROR_FAILED;
		snprintf(err->text, sizeof(err->text), "%s", m->text);
	}
	return code;
}

int sync_expect(int fd, enum sync_type want, int *passed_fd, const char *who, struct error *err)
{
	struct sync_message m;
	int passed = -1, r = sync_recv(fd, &m, &passed, 0);

	if (r > 0 && m.type == want) {
		if (passed_fd)
			*passed_fd = passed;
		else
			close_fd(&passed);
		return 0;
	}
	close_fd(&passed);
	if (r < 0)
		return error_errno(err, -r, "waiting for %s", who);
	if (r == 0)
		return error_set(err, EPIPE, "%s ended without an answer", who);
	if (m.type == SYNC_ERROR)
		return sync_take_error(&m, err);
	return error_set(err, EPROTO, "%s sent message %u instead of %u", who, m.type, want);
}
