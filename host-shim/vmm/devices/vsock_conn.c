/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_conn: one stream between a guest port and a host socket. */
#include "vsock_conn.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "host-shim/vmm/virtio/iov.h"

/* Pieces given to one recvmsg(2) or sendmsg(2). */
#define PIECES_MAX 64

uint32_t vsock_conn_peer_free(const struct vsock_conn *c)
{
	uint32_t in_flight = c->tx_cnt - c->peer_fwd_cnt;

	return in_flight < c->peer_buf_alloc ? c->peer_buf_alloc - in_flight : 0;
}

uint32_t vsock_conn_free(const struct vsock_conn *c)
{
	return VSOCK_BUF_ALLOC - (c->rx_cnt - c->fwd_cnt);
}

void vsock_conn_take_credit(struct vsock_conn *c, const struct vsock_header *h)
{
	c->peer_buf_alloc = h->buf_alloc;
	c->peer_fwd_cnt = h->fwd_cnt;
	if (vsock_conn_peer_free(c) > 0) {
		c->waits_for_credit = false;
		c->credit_requested = false;
	}
}

void vsock_conn_abort(struct vsock_conn *c)
{
	c->state = VSOCK_ABORTED;
	c->owes = VSOCK_OWES_RST;
}

/* The host took `n` more bytes. Tells the guest when half of what it may send is used up,
 * so that it does not come to a halt between two updates. */
static void forwarded(struct vsock_conn *c, size_t n)
{
	c->fwd_cnt += (uint32_t)n;
	if (c->rx_cnt - c->fwd_told > VSOCK_BUF_ALLOC / 2 && c->fwd_cnt != c->fwd_told)
		c->owes |= VSOCK_OWES_CREDIT;
}

/* The host will read no more: what comes is dropped, and the guest is told. */
static void host_reads_no_more(struct vsock_conn *c)
{
	size_t held = c->held.size - c->held_from;

	buffer_free(&c->held);
	c->held_from = 0;
	forwarded(c, held);
	if (!(c->host_shut & VSOCK_SHUTDOWN_RECEIVE)) {
		c->host_shut |= VSOCK_SHUTDOWN_RECEIVE;
		c->owes |= VSOCK_OWES_SHUTDOWN;
	}
}

/* Bytes taken, 0 when the socket is full, -1 when it takes no more. */
static ssize_t send_some(struct vsock_conn *c, struct iovec *iov, size_t n)
{
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = n};
	ssize_t r;

	do
		r = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == EAGAIN || errno == ENOBUFS ? 0 : -1;
	return r;
}

/* Holds [from, len) of the payload. */
static int hold(struct vsock_conn *c, const struct iovec *iov, size_t n, size_t from, size_t len)
{
	uint8_t *at;

	if (c->held_from > 0) {
		c->held.size -= c->held_from;
		memmove(c->held.data, c->held.data + c->held_from, c->held.size);
		c->held_from = 0;
	}
	at = buffer_reserve(&c->held, len - from);
	if (!at)
		return -ENOMEM;
	c->held.size += iov_read(iov, n, from, at, len - from);
	return 0;
}

int vsock_conn_deliver(struct vsock_conn *c, const struct iovec *iov, size_t n, size_t len)
{
	struct iovec pieces[PIECES_MAX];
	size_t done = 0;

	if (len > vsock_conn_free(c))
		return -ENOBUFS;
	c->rx_cnt += (uint32_t)len;
	if (c->fd < 0 || (c->host_shut & VSOCK_SHUTDOWN_RECEIVE)) {
		forwarded(c, len);
		return 0;
	}
	while (done < len && !vsock_conn_holds(c)) {
		size_t count = iov_slice(iov, n, done, len - done, pieces, PIECES_MAX, NULL);
		ssize_t r = send_some(c, pieces, count);

		if (r < 0) {
			forwarded(c, len - done);
			host_reads_no_more(c);
			return 0;
		}
		if (r == 0)
			break;
		done += (size_t)r;
		forwarded(c, (size_t)r);
	}
	return done < len ? hold(c, iov, n, done, len) : 0;
}

bool vsock_conn_flush(struct vsock_conn *c)
{
	while (vsock_conn_holds(c)) {
		struct iovec v = {c->held.data + c->held_from, c->held.size - c->held_from};
		ssize_t r = send_some(c, &v, 1);

		if (r < 0) {
			host_reads_no_more(c);
			return true;
		}
		if (r == 0)
			return false;
		c->held_from += (size_t)r;
		forwarded(c, (size_t)r);
	}
	buffer_free(&c->held); /* idle connections keep nothing */
	c->held_from = 0;
	return true;
}

static void host_sends_no_more(struct vsock_conn *c)
{
	unsigned int shut = VSOCK_SHUTDOWN_SEND;

	c->owes &= ~(unsigned int)VSOCK_OWES_DATA;
	if (c->host_hung_up)
		shut = VSOCK_SHUTDOWN_BOTH;
	if ((c->host_shut & shut) != shut)
		c->owes |= VSOCK_OWES_SHUTDOWN;
	c->host_shut |= shut;
}

void vsock_conn_host_closed(struct vsock_conn *c)
{
	c->host_hung_up = true;
	/* Half closed before: nothing more is read, so say it now. */
	if (c->state == VSOCK_ESTABLISHED && (c->host_shut & VSOCK_SHUTDOWN_SEND))
		host_sends_no_more(c);
}

/* No room in the guest: still notice that the host has ended, else wait. */
static void wait_for_credit(struct vsock_conn *c)
{
	char byte;
	ssize_t r = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (r == 0) {
		host_sends_no_more(c);
	} else if (r < 0 && errno == EAGAIN) {
		c->owes &= ~(unsigned int)VSOCK_OWES_DATA;
	} else if (r < 0) {
		vsock_conn_abort(c);
	} else {
		c->waits_for_credit = true;
		if (!c->credit_requested)
			c->owes |= VSOCK_OWES_CREDIT_REQUEST;
		c->credit_requested = true;
	}
}

/* Reads from the host into the guest's buffer; true when there was something. */
static bool next_data(struct vsock_conn *c, struct vsock_header *h, const struct iovec *iov,
                      size_t n)
{
	struct iovec pieces[PIECES_MAX];
	struct msghdr m = {.msg_iov = pieces};
	uint32_t room = vsock_conn_peer_free(c);
	ssize_t r;

	if ((c->guest_shut & VSOCK_SHUTDOWN_RECEIVE) || c->fd < 0) {
		c->owes &= ~(unsigned int)VSOCK_OWES_DATA;
		return false;
	}
	if (room == 0) {
		wait_for_credit(c);
		return false;
	}
	m.msg_iovlen = iov_slice(iov, n, 0, room, pieces, PIECES_MAX, NULL);
	if (m.msg_iovlen == 0)
		return false;
	do
		r = recvmsg(c->fd, &m, MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	if (r > 0) {
		c->tx_cnt += (uint32_t)r;
		h->op = VSOCK_OP_RW;
		h->len = (uint32_t)r;
		return true;
	}
	if (r == 0)
		host_sends_no_more(c);
	else if (errno == EAGAIN)
		c->owes &= ~(unsigned int)VSOCK_OWES_DATA;
	else
		vsock_conn_abort(c);
	return false;
}

static const struct {
	enum vsock_owed owed;
	enum vsock_op op;
} plain_packets[] = {
    {VSOCK_OWES_RST, VSOCK_OP_RST},
    {VSOCK_OWES_REQUEST, VSOCK_OP_REQUEST},
    {VSOCK_OWES_RESPONSE, VSOCK_OP_RESPONSE},
    {VSOCK_OWES_DATA, VSOCK_OP_RW},
    {VSOCK_OWES_CREDIT, VSOCK_OP_CREDIT_UPDATE},
    {VSOCK_OWES_CREDIT_REQUEST, VSOCK_OP_CREDIT_REQUEST},
    {VSOCK_OWES_SHUTDOWN, VSOCK_OP_SHUTDOWN},
};

static bool next_of(struct vsock_conn *c, struct vsock_header *h, const struct iovec *iov, size_t n)
{
	for (size_t i = 0; i < sizeof(plain_packets) / sizeof(plain_packets[0]); i++) {
		if (!(c->owes & plain_packets[i].owed))
			continue;
		if (plain_packets[i].owed == VSOCK_OWES_DATA) {
			if (c->waits_for_credit)
				continue;
			if (next_data(c, h, iov, n))
				return true;
			if (c->state == VSOCK_ABORTED) {
				c->owes = 0;
				h->op = VSOCK_OP_RST;
				return true;
			}
			continue;
		}
		c->owes &= ~(unsigned int)plain_packets[i].owed;
		h->op = (uint16_t)plain_packets[i].op;
		if (h->op == VSOCK_OP_SHUTDOWN)
			h->flags = c->host_shut;
		return true;
	}
	return false;
}

bool vsock_conn_next(struct vsock_conn *c, struct vsock_header *h, const struct iovec *iov,
                     size_t n)
{
	h->type = VSOCK_TYPE_STREAM;
	h->len = 0;
	h->flags = 0;
	if (!next_of(c, h, iov, n))
		return false;
	h->buf_alloc = VSOCK_BUF_ALLOC;
	h->fwd_cnt = c->fwd_cnt;
	c->fwd_told = c->fwd_cnt;
	c->owes &= ~(unsigned int)VSOCK_OWES_CREDIT;
	return true;
}

bool vsock_conn_wants(const struct vsock_conn *c)
{
	unsigned int owes = c->owes;

	if (c->waits_for_credit)
		owes &= ~(unsigned int)VSOCK_OWES_DATA;
	return owes != 0;
}
