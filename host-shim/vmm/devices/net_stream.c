/* SPDX-License-Identifier: Apache-2.0 */
/* net_stream: frames of a network device through a unix stream, each after its length. */
#include "net_backend.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "host-shim/vmm/virtio/iov.h"
#include "lib/base/bytes.h"

#define PREFIX_SIZE 4u
#define INPUT_SIZE  (128u * 1024) /* bytes: two frames of the longest kind at least */

struct stream {
	struct net_backend backend;
	uint8_t in[INPUT_SIZE];
	size_t first, end; /* bytes of `in` that were not handed out yet */
	uint8_t out[PREFIX_SIZE + NET_FRAME_MAX];
	size_t out_first, out_end; /* the rest of a frame that was sent in part */
};

static void set_features(struct net_backend *b, uint64_t features)
{
}

/* A whole frame of those held: 1, 0 not yet, -EPROTO. */
static int next_frame(struct stream *s, struct net_frame *f)
{
	size_t have = s->end - s->first;
	uint32_t size;

	if (have < PREFIX_SIZE)
		return 0;
	size = get_be32(s->in + s->first);
	if (size < NET_FRAME_MIN || size > NET_FRAME_MAX)
		return -EPROTO; /* there is no way to find the next one */
	if (have < PREFIX_SIZE + size)
		return 0;
	memset(f->header, 0, sizeof(f->header));
	f->data = s->in + s->first + PREFIX_SIZE;
	f->size = size;
	s->first += PREFIX_SIZE + size;
	return 1;
}

static int stream_receive(struct net_backend *b, struct net_frame *f)
{
	struct stream *s = (struct stream *)b;
	int r = next_frame(s, f);
	ssize_t n;

	if (r != 0)
		return r;
	memmove(s->in, s->in + s->first, s->end - s->first);
	s->end -= s->first;
	s->first = 0;
	do
		n = recv(b->fd, s->in + s->end, sizeof(s->in) - s->end, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -ENODATA;
	s->end += (size_t)n;
	return next_frame(s, f);
}

static int stream_flush(struct net_backend *b)
{
	struct stream *s = (struct stream *)b;

	while (s->out_first < s->out_end) {
		ssize_t n = send(b->fd, s->out + s->out_first, s->out_end - s->out_first,
		                 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		s->out_first += (size_t)n;
	}
	return 0;
}

/* Keeps what was not sent of prefix and frame. */
static void hold(struct stream *s, const struct iovec *iov, size_t n, size_t sent)
{
	s->out_first = 0;
	s->out_end = iov_read(iov, n, sent, s->out, sizeof(s->out));
}

static int stream_send(struct net_backend *b, const uint8_t header[NET_HEADER_SIZE],
                       const struct iovec *iov, size_t n)
{
	struct stream *s = (struct stream *)b;
	struct iovec all[IOV_MAX];
	struct msghdr m = {.msg_iov = all, .msg_iovlen = (__typeof__(m.msg_iovlen))(n + 1)};
	uint8_t prefix[PREFIX_SIZE];
	size_t size = 0;
	ssize_t sent;
	int r = stream_flush(b);

	if (r < 0)
		return r;
	if (n > IOV_MAX - 1)
		return 0;
	for (size_t i = 0; i < n; i++)
		size += iov[i].iov_len;
	put_be32(prefix, (uint32_t)size);
	all[0] = (struct iovec){prefix, sizeof(prefix)};
	memcpy(all + 1, iov, n * sizeof(*iov));
	do
		sent = sendmsg(b->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	if ((size_t)sent < sizeof(prefix) + size)
		hold(s, all, n + 1, (size_t)sent);
	return 0;
}

static void stream_free(struct net_backend *b)
{
	free(b);
}

static const struct net_backend_ops stream_ops = {
    .set_features = set_features,
    .receive = stream_receive,
    .send = stream_send,
    .flush = stream_flush,
    .free = stream_free,
};

int net_stream_new(struct net_backend **out, int fd, struct error *err)
{
	int type = 0;
	socklen_t size = sizeof(type);
	struct stream *s;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return error_errno(err, errno, "network device: its socket");
	if (type != SOCK_STREAM)
		return error_set(err, EINVAL, "network device: not a stream socket");
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(err, ENOMEM, "no memory for the network stream");
	s->backend = (struct net_backend){&stream_ops, fd};
	*out = &s->backend;
	return 0;
}
