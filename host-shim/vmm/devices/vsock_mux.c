/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_mux: all streams of one guest, between packets and host sockets. */
#include "vsock_mux.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-shim/vmm/devices/vsock_conn.h"

#define HASH_SIZE 256u
#define SWEEP_MS  500

/* Ports given to streams that the host opens: away from those anybody listens on. */
#define FIRST_HOST_PORT (1u << 30)

struct refusal {
	uint64_t src_cid; /* whom the guest had asked for */
	uint32_t src_port, dst_port;
	uint16_t type;
};

struct vsock_mux {
	struct vsock_mux_config config;
	struct loop *loop;
	struct loop_source *sweep; /* NULL while no stream has a deadline */
	struct vsock_conn *hash[HASH_SIZE];
	struct vsock_conn *owing, *owing_last; /* streams with packets to send, round robin */
	unsigned int count;
	uint32_t last_port;
	struct refusal refusals[VSOCK_REFUSALS_MAX];
	unsigned int refusals_first, refusals_n;
	bool fetching; /* inside vsock_mux_next(): do not wake */
};

/* ---- the table of streams */

static unsigned int hash_of(uint32_t host_port, uint32_t guest_port)
{
	uint32_t h = (host_port * 2654435761u) ^ (guest_port * 2246822519u);

	return (h ^ h >> 15) % HASH_SIZE;
}

static struct vsock_conn *find(const struct vsock_mux *mux, uint32_t host_port, uint32_t guest_port)
{
	struct vsock_conn *c = mux->hash[hash_of(host_port, guest_port)];

	while (c && (c->host_port != host_port || c->guest_port != guest_port))
		c = c->hash_next;
	return c;
}

/* Takes fd on success. */
static struct vsock_conn *add(struct vsock_mux *mux, uint32_t host_port, uint32_t guest_port,
                              int fd)
{
	struct vsock_conn **bucket = &mux->hash[hash_of(host_port, guest_port)], *c;

	if (mux->count >= VSOCK_CONNS_MAX)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->host_port = host_port;
	c->guest_port = guest_port;
	c->fd = fd;
	c->held.limit = 2 * VSOCK_BUF_ALLOC;
	c->mux = mux;
	c->hash_next = *bucket;
	*bucket = c;
	mux->count++;
	return c;
}

static void owing_remove(struct vsock_mux *mux, struct vsock_conn *c)
{
	if (!c->owing)
		return;
	if (c->owing_prev)
		c->owing_prev->owing_next = c->owing_next;
	else
		mux->owing = c->owing_next;
	if (c->owing_next)
		c->owing_next->owing_prev = c->owing_prev;
	else
		mux->owing_last = c->owing_prev;
	c->owing_next = c->owing_prev = NULL;
	c->owing = false;
}

static void owing_append(struct vsock_mux *mux, struct vsock_conn *c)
{
	if (c->owing)
		return;
	c->owing = true;
	c->owing_prev = mux->owing_last;
	if (mux->owing_last)
		mux->owing_last->owing_next = c;
	else
		mux->owing = c;
	mux->owing_last = c;
}

static void close_socket(struct vsock_conn *c)
{
	loop_source_free(c->src);
	c->src = NULL;
	close_fd(&c->fd);
}

static void forget(struct vsock_mux *mux, struct vsock_conn *c)
{
	struct vsock_conn **p = &mux->hash[hash_of(c->host_port, c->guest_port)];

	while (*p != c)
		p = &(*p)->hash_next;
	*p = c->hash_next;
	owing_remove(mux, c);
	close_socket(c);
	buffer_free(&c->held);
	free(c);
	mux->count--;
}

/* ---- events of host sockets */

static void socket_event(struct loop_source *src, int fd, uint32_t events, void *data);

/* Watches the socket for what matters now: something to read unless that is known
 * already, room to write while bytes are held. */
static void watch(struct vsock_mux *mux, struct vsock_conn *c)
{
	uint32_t events = 0;

	if (c->fd < 0 || c->host_hung_up)
		return;
	if (c->state == VSOCK_ESTABLISHED && !(c->owes & VSOCK_OWES_DATA) &&
	    !(c->host_shut & VSOCK_SHUTDOWN_SEND) && !(c->guest_shut & VSOCK_SHUTDOWN_RECEIVE))
		events |= EPOLLIN;
	if (vsock_conn_holds(c))
		events |= EPOLLOUT;
	if (!c->src) {
		if (loop_add_fd(mux->loop, c->fd, events, socket_event, c, &c->src, NULL) < 0)
			vsock_conn_abort(c);
	} else {
		loop_set_events(c->src, events);
	}
}

static void finish_if_done(struct vsock_conn *c);

/* After anything happened to a stream: its events, its place in the list. */
static void settle(struct vsock_mux *mux, struct vsock_conn *c)
{
	finish_if_done(c);
	if (c->state == VSOCK_ABORTED)
		close_socket(c);
	watch(mux, c);
	if (vsock_conn_wants(c)) {
		owing_append(mux, c);
		if (!mux->fetching)
			mux->config.wake(mux->config.data);
	}
}

static void socket_event(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct vsock_conn *c = data;

	if (events & EPOLLOUT)
		vsock_conn_flush(c);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		c->owes |= VSOCK_OWES_DATA;
	if (events & (EPOLLHUP | EPOLLERR)) {
		/* Nothing more will happen here, and the event would repeat for ever. */
		c->host_hung_up = true;
		loop_source_free(c->src);
		c->src = NULL;
		vsock_conn_flush(c);
		if (c->state == VSOCK_REQUESTED)
			vsock_conn_abort(c);
		else
			vsock_conn_host_closed(c);
	}
	settle(c->mux, c);
}

/* ---- deadlines */

static void sweep(struct loop_source *src, void *data)
{
	struct vsock_mux *mux = data;
	uint64_t now = loop_now_ms();
	bool more = false;

	for (unsigned int i = 0; i < HASH_SIZE; i++)
		for (struct vsock_conn *c = mux->hash[i], *next; c; c = next) {
			next = c->hash_next;
			if (c->deadline && c->deadline <= now) {
				c->deadline = 0;
				vsock_conn_abort(c);
				settle(mux, c);
				i = i == 0 ? UINT32_MAX
				           : i - 1; /* settling may have changed the chain */
				break;
			}
			more |= c->deadline != 0;
		}
	if (more) {
		loop_set_timer(src, SWEEP_MS);
	} else {
		loop_source_free(mux->sweep);
		mux->sweep = NULL;
	}
}

static void set_deadline(struct vsock_mux *mux, struct vsock_conn *c, uint64_t ms)
{
	c->deadline = loop_now_ms() + ms;
	if (!mux->sweep)
		loop_add_timer(mux->loop, SWEEP_MS, sweep, mux, &mux->sweep, NULL);
}

/* ---- packets from the guest */

static void refuse(struct vsock_mux *mux, const struct vsock_header *h)
{
	unsigned int at;

	if (h->op == VSOCK_OP_RST || mux->refusals_n == VSOCK_REFUSALS_MAX)
		return;
	at = (mux->refusals_first + mux->refusals_n++) % VSOCK_REFUSALS_MAX;
	mux->refusals[at] = (struct refusal){h->dst_cid, h->dst_port, h->src_port, h->type};
	if (!mux->fetching)
		mux->config.wake(mux->config.data);
}

/* §5.10.6.5: a clean end is SHUTDOWN for both directions, answered by RST. */
static void finish_if_done(struct vsock_conn *c)
{
	if (c->state != VSOCK_ESTABLISHED)
		return;
	if ((c->guest_shut & VSOCK_SHUTDOWN_SEND) && !vsock_conn_holds(c) && c->fd >= 0 &&
	    !c->end_told) {
		c->end_told = true;
		shutdown(c->fd, SHUT_WR);
	}
	if (c->guest_shut == VSOCK_SHUTDOWN_BOTH && !vsock_conn_holds(c))
		vsock_conn_abort(c);
}

static void on_request(struct vsock_mux *mux, struct vsock_conn *c, const struct vsock_header *h,
                       const struct iovec *payload, size_t n)
{
	/* The pair of ports is in use: the guest lost its mind, or its memory. */
	vsock_conn_abort(c);
}

static void on_response(struct vsock_mux *mux, struct vsock_conn *c, const struct vsock_header *h,
                        const struct iovec *payload, size_t n)
{
	char line[32];
	int len;

	if (c->state != VSOCK_REQUESTED) {
		vsock_conn_abort(c);
		return;
	}
	len = snprintf(line, sizeof(line), "OK %" PRIu32 "\n", c->host_port);
	/* An empty socket buffer always has room for it. */
	if (send(c->fd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) != len) {
		vsock_conn_abort(c);
		return;
	}
	c->state = VSOCK_ESTABLISHED;
	c->deadline = 0;
}

static void on_shutdown(struct vsock_mux *mux, struct vsock_conn *c, const struct vsock_header *h,
                        const struct iovec *payload, size_t n)
{
	c->guest_shut |= h->flags & VSOCK_SHUTDOWN_BOTH;
	if ((c->guest_shut & VSOCK_SHUTDOWN_RECEIVE) && c->fd >= 0)
		shutdown(c->fd, SHUT_RD);
}

static void on_data(struct vsock_mux *mux, struct vsock_conn *c, const struct vsock_header *h,
                    const struct iovec *payload, size_t n)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += payload[i].iov_len;
	if (total < h->len || c->state != VSOCK_ESTABLISHED ||
	    (c->guest_shut & VSOCK_SHUTDOWN_SEND) || vsock_conn_deliver(c, payload, n, h->len) < 0)
		vsock_conn_abort(c);
}

static void on_credit_update(struct vsock_mux *mux, struct vsock_conn *c,
                             const struct vsock_header *h, const struct iovec *payload, size_t n)
{
	/* Every packet carries the credit; it was taken already. */
}

static void on_credit_request(struct vsock_mux *mux, struct vsock_conn *c,
                              const struct vsock_header *h, const struct iovec *payload, size_t n)
{
	c->owes |= VSOCK_OWES_CREDIT;
}

typedef void (*packet_fn)(struct vsock_mux *mux, struct vsock_conn *c, const struct vsock_header *h,
                          const struct iovec *payload, size_t n);

static const packet_fn packet_table[] = {
    [VSOCK_OP_REQUEST] = on_request,
    [VSOCK_OP_RESPONSE] = on_response,
    [VSOCK_OP_SHUTDOWN] = on_shutdown,
    [VSOCK_OP_RW] = on_data,
    [VSOCK_OP_CREDIT_UPDATE] = on_credit_update,
    [VSOCK_OP_CREDIT_REQUEST] = on_credit_request,
};

static void open_for_guest(struct vsock_mux *mux, const struct vsock_header *h)
{
	struct vsock_conn *c;
	int fd;

	if (mux->count >= VSOCK_CONNS_MAX) {
		refuse(mux, h);
		return;
	}
	fd = mux->config.connect(mux->config.data, h->dst_port);
	if (fd < 0) {
		refuse(mux, h);
		return;
	}
	c = add(mux, h->dst_port, h->src_port, fd);
	if (!c) {
		close(fd);
		refuse(mux, h);
		return;
	}
	c->state = VSOCK_ESTABLISHED;
	c->owes = VSOCK_OWES_RESPONSE;
	vsock_conn_take_credit(c, h);
	settle(mux, c);
}

bool vsock_mux_can_receive(const struct vsock_mux *mux)
{
	return mux->refusals_n < VSOCK_REFUSALS_MAX;
}

void vsock_mux_receive(struct vsock_mux *mux, const struct vsock_header *h,
                       const struct iovec *payload, size_t n)
{
	struct vsock_conn *c;

	/* §5.10.6.3: the guest's own cid is the source of what it sends. */
	if (h->src_cid != mux->config.guest_cid)
		return;
	/* §5.10.6.3: RST for an unknown type; and at once for a cid that nobody has. */
	if (h->type != VSOCK_TYPE_STREAM || h->dst_cid != VSOCK_CID_HOST) {
		refuse(mux, h);
		return;
	}
	c = find(mux, h->dst_port, h->src_port);
	if (!c) {
		if (h->op == VSOCK_OP_REQUEST)
			open_for_guest(mux, h);
		else
			refuse(mux, h);
		return;
	}
	if (h->op == VSOCK_OP_RST) {
		forget(mux, c);
		return;
	}
	vsock_conn_take_credit(c, h);
	if (c->state != VSOCK_ABORTED) {
		if (h->op < sizeof(packet_table) / sizeof(packet_table[0]) && packet_table[h->op])
			packet_table[h->op](mux, c, h, payload, n);
		else
			vsock_conn_abort(c);
	}
	settle(mux, c);
}

/* ---- packets for the guest */

bool vsock_mux_pending(const struct vsock_mux *mux)
{
	return mux->refusals_n > 0 || mux->owing;
}

static bool next_refusal(struct vsock_mux *mux, struct vsock_header *h)
{
	const struct refusal *r = &mux->refusals[mux->refusals_first];

	if (mux->refusals_n == 0)
		return false;
	*h = (struct vsock_header){.src_cid = r->src_cid,
	                           .src_port = r->src_port,
	                           .dst_port = r->dst_port,
	                           .type = r->type,
	                           .op = VSOCK_OP_RST};
	mux->refusals_first = (mux->refusals_first + 1) % VSOCK_REFUSALS_MAX;
	mux->refusals_n--;
	return true;
}

static bool next_of_streams(struct vsock_mux *mux, struct vsock_header *h, const struct iovec *iov,
                            size_t n)
{
	while (mux->owing) {
		struct vsock_conn *c = mux->owing;
		unsigned int owed = c->owes;
		bool got;

		owing_remove(mux, c);
		*h = (struct vsock_header){
		    .src_cid = VSOCK_CID_HOST, .src_port = c->host_port, .dst_port = c->guest_port};
		got = vsock_conn_next(c, h, iov, n);
		if (got && h->op == VSOCK_OP_RST) {
			forget(mux, c);
			return true;
		}
		if (got && h->op == VSOCK_OP_REQUEST)
			set_deadline(mux, c, VSOCK_REQUEST_TIMEOUT);
		if (got && h->op == VSOCK_OP_SHUTDOWN && h->flags == VSOCK_SHUTDOWN_BOTH)
			set_deadline(mux, c, VSOCK_SHUTDOWN_TIMEOUT);
		/* A buffer without room for data: the stream stays where it was. */
		if (!got && c->owes == owed && !c->waits_for_credit) {
			owing_append(mux, c);
			return false;
		}
		settle(mux, c);
		if (got)
			return true;
	}
	return false;
}

bool vsock_mux_next(struct vsock_mux *mux, struct vsock_header *h, const struct iovec *iov,
                    size_t n)
{
	bool got;

	mux->fetching = true;
	got = next_refusal(mux, h) || next_of_streams(mux, h, iov, n);
	mux->fetching = false;
	h->dst_cid = mux->config.guest_cid;
	return got;
}

/* ---- streams of the host */

int vsock_mux_open(struct vsock_mux *mux, int fd, uint32_t guest_port, struct error *err)
{
	struct vsock_conn *c;

	if (mux->count >= VSOCK_CONNS_MAX)
		return error_set(err, EMFILE, "the guest has %u vsock streams already", mux->count);
	do
		mux->last_port =
		    mux->last_port < FIRST_HOST_PORT || mux->last_port == UINT32_MAX - 1
		        ? FIRST_HOST_PORT
		        : mux->last_port + 1;
	while (find(mux, mux->last_port, guest_port));
	c = add(mux, mux->last_port, guest_port, fd);
	if (!c)
		return error_set(err, ENOMEM, "no memory for a vsock stream");
	c->state = VSOCK_REQUESTED;
	c->owes = VSOCK_OWES_REQUEST;
	settle(mux, c);
	return 0;
}

/* ---- life */

int vsock_mux_new(struct vsock_mux **out, struct loop *loop, const struct vsock_mux_config *config,
                  struct error *err)
{
	struct vsock_mux *mux = calloc(1, sizeof(*mux));

	if (!mux)
		return error_set(err, ENOMEM, "no memory for the vsock device");
	mux->config = *config;
	mux->loop = loop;
	*out = mux;
	return 0;
}

void vsock_mux_reset(struct vsock_mux *mux)
{
	for (unsigned int i = 0; i < HASH_SIZE; i++)
		while (mux->hash[i])
			forget(mux, mux->hash[i]);
	mux->refusals_n = 0;
	loop_source_free(mux->sweep);
	mux->sweep = NULL;
}

void vsock_mux_free(struct vsock_mux *mux)
{
	if (!mux)
		return;
	vsock_mux_reset(mux);
	free(mux);
}
