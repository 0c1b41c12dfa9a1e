/* SPDX-License-Identifier: Apache-2.0 */
/* vhost_user_wire: messages of the vhost-user protocol, collected from a socket. */
#include "vhost_user_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"

void vhost_user_input_clear(struct vhost_user_input *in)
{
	for (unsigned int i = 0; i < in->n_fds; i++)
		close(in->fds[i]);
	in->n_fds = 0;
	in->have = 0;
}

void vhost_user_message_done(struct vhost_user_message *m)
{
	for (unsigned int i = 0; i < m->n_fds; i++)
		close_fd(&m->fds[i]);
	m->n_fds = 0;
}

/* Takes the descriptors of one recvmsg(2); too many are closed and an error. */
static int take_fds(struct vhost_user_input *in, struct msghdr *msg, struct error *err)
{
	bool too_many = msg->msg_flags & MSG_CTRUNC;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (in->n_fds < VHOST_USER_FDS_MAX) {
				in->fds[in->n_fds++] = fd;
			} else {
				close(fd);
				too_many = true;
			}
		}
	}
	if (too_many)
		return error_set(err, EPROTO,
		                 "vhost-user: a message came with more than %d "
		                 "descriptors",
		                 VHOST_USER_FDS_MAX);
	return 0;
}

/* Reads towards `want` bytes in all: 1 there, 0 not yet. */
static int fill(struct vhost_user_input *in, int fd, size_t want, struct error *err)
{
	while (in->have < want) {
		union {
			char buf[CMSG_SPACE(VHOST_USER_FDS_MAX * sizeof(int))];
			struct cmsghdr align;
		} control;
		struct iovec v = {in->bytes + in->have, want - in->have};
		struct msghdr m = {.msg_iov = &v,
		                   .msg_iovlen = 1,
		                   .msg_control = control.buf,
		                   .msg_controllen = sizeof(control.buf)};
		ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return error_errno(err, errno, "vhost-user: reading from the peer");
		r = take_fds(in, &m, err);
		if (r < 0)
			return r;
		if (n == 0) {
			if (in->have > 0)
				return error_set(err, EPROTO,
				                 "vhost-user: the peer closed in a message");
			return -ENODATA;
		}
		in->have += (size_t)n;
	}
	return 1;
}

int vhost_user_read(struct vhost_user_input *in, int fd, struct vhost_user_message *out,
                    struct error *err)
{
	struct reader h;
	int r = fill(in, fd, VHOST_USER_HEADER_SIZE, err);

	if (r <= 0)
		return r;
	h = reader_init(in->bytes, VHOST_USER_HEADER_SIZE);
	out->request = reader_le32(&h);
	out->flags = reader_le32(&h);
	out->size = reader_le32(&h);
	if ((out->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION ||
	    !(out->flags & VHOST_USER_F_REPLY) == in->replies)
		return error_set(err, EPROTO, "vhost-user: message %u has flags 0x%x", out->request,
		                 out->flags);
	if (out->size > VHOST_USER_PAYLOAD_MAX)
		return error_set(err, EPROTO, "vhost-user: message %u of %u bytes is too long",
		                 out->request, out->size);
	r = fill(in, fd, VHOST_USER_HEADER_SIZE + (size_t)out->size, err);
	if (r <= 0)
		return r;
	memcpy(out->payload, in->bytes + VHOST_USER_HEADER_SIZE, out->size);
	memcpy(out->fds, in->fds, sizeof(in->fds));
	out->n_fds = in->n_fds;
	in->n_fds = 0;
	in->have = 0;
	return 1;
}

static int send_message(int fd, uint32_t request, uint32_t flags, const void *payload,
                        uint32_t size, const int *fds, unsigned int n_fds, struct error *err)
{
	uint8_t bytes[VHOST_USER_HEADER_SIZE + VHOST_USER_PAYLOAD_MAX];
	union {
		char buf[CMSG_SPACE(VHOST_USER_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = {.buf = {0}};
	struct iovec v = {bytes, VHOST_USER_HEADER_SIZE + (size_t)size};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	ssize_t n;

	put_le32(bytes, request);
	put_le32(bytes + 4, VHOST_USER_VERSION | flags);
	put_le32(bytes + 8, size);
	if (size)
		memcpy(bytes + VHOST_USER_HEADER_SIZE, payload, size);
	if (n_fds) {
		m.msg_control = control.buf;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, n_fds * sizeof(int));
	}
	do
		n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(err, errno, "vhost-user: sending message %u", request);
	if ((size_t)n != v.iov_len)
		return error_set(err, EIO, "vhost-user: sending message %u: cut short", request);
	return 0;
}

int vhost_user_request(int fd, uint32_t request, bool need_reply, const void *payload,
                       uint32_t size, const int *fds, unsigned int n_fds, struct error *err)
{
	return send_message(fd, request, need_reply ? VHOST_USER_F_NEED_REPLY : 0, payload, size,
	                    fds, n_fds, err);
}

int vhost_user_reply(int fd, uint32_t request, const void *payload, uint32_t size,
                     struct error *err)
{
	return send_message(fd, request, VHOST_USER_F_REPLY, payload, size, NULL, 0, err);
}
