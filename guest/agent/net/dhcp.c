/* SPDX-License-Identifier: Apache-2.0 */
/* dhcp: the client's states (RFC 2131 figure 5) and one timer. */
#include "dhcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"

#define SERVER_PORT             67
#define CLIENT_PORT             68
#define FIRST_DELAY_MS          1000
#define LONGEST_DELAY_MS        64000
#define REQUESTS_BEFORE_RESTART 4
/* Between renewals at least this long (RFC 2131 section 4.4.5 says 60 s; half a short lease must
 * still fit). */
#define RENEW_RETRY_MS   15000
#define DATAGRAMS_A_TURN 16

enum state { SELECTING, REQUESTING, BOUND, RENEWING, REBINDING, WAITING };

struct dhcp {
	struct loop *loop;
	struct net_link link;
	char hostname[64];
	enum state state;
	int fd;
	struct loop_source *io, *timer;
	uint32_t xid;
	uint64_t started_ms; /* of this exchange, for `secs` */
	uint64_t asked_ms;   /* a lease runs from its request (RFC 2131 section 4.4.1) */
	uint64_t bound_ms;   /* when the lease began */
	uint64_t delay_ms;   /* until the next retransmission */
	unsigned int tries;
	struct dhcp_lease offer; /* REQUESTING: asked for; from BOUND on: held */
	dhcp_lease_fn on_lease;
	dhcp_lost_fn on_lost;
	void *data;
};

static void on_timer(struct loop_source *src, void *data);

/* Not waiting for the generator: a transaction number need not be secret, only not repeated. */
static uint32_t random_u32(void)
{
	uint32_t v;

	if (getrandom(&v, sizeof(v), GRND_NONBLOCK) != sizeof(v))
		v = (uint32_t)loop_now_ms() * 2654435761u ^ (uint32_t)getpid() << 16;
	return v;
}

static void close_socket(struct dhcp *d)
{
	loop_source_free(d->io);
	d->io = NULL;
	close_fd(&d->fd);
}

static void on_readable(struct loop_source *src, int fd, uint32_t events, void *data);

static int open_socket(struct dhcp *d, struct error *err)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(CLIENT_PORT)};
	/* By number: the host may rename the link later. */
	int one = 1, index = (int)d->link.index;

	if (d->fd >= 0)
		return 0;
	d->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd < 0)
		return error_errno(err, errno, "DHCP on %s: open a socket", d->link.name);
	if (setsockopt(d->fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)) < 0 ||
	    setsockopt(d->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    setsockopt(d->fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof(index)) < 0 ||
	    bind(d->fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
		int r =
		    error_errno(err, errno, "DHCP on %s: bind port %d", d->link.name, CLIENT_PORT);

		close_socket(d);
		return r;
	}
	return loop_add_fd(d->loop, d->fd, EPOLLIN, on_readable, d, &d->io, err);
}

static void fill_request(const struct dhcp *d, struct dhcp_request *rq)
{
	uint64_t secs = (loop_now_ms() - d->started_ms) / 1000;

	*rq = (struct dhcp_request){.type = DHCP_REQUEST,
	                            .xid = d->xid,
	                            .secs = (uint16_t)(secs < UINT16_MAX ? secs : UINT16_MAX),
	                            .hostname = d->hostname};
	memcpy(rq->mac, d->link.mac.bytes, sizeof(rq->mac));
	switch (d->state) {
	case SELECTING:
		rq->type = DHCP_DISCOVER;
		rq->rapid_commit = true;
		break;
	case REQUESTING:
		rq->requested = d->offer.address;
		rq->server = d->offer.server;
		break;
	default: /* renewing, rebinding: RFC 2131 table 4 */
		rq->ciaddr = d->offer.address;
		break;
	}
}

static void send_request(struct dhcp *d)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct sockaddr_in to = {.sin_family = AF_INET,
	                         .sin_port = htons(SERVER_PORT),
	                         .sin_addr.s_addr = htonl(INADDR_BROADCAST)};
	struct error err = ERROR_INIT;
	struct dhcp_request rq;

	if (open_socket(d, &err) < 0) {
		log_warn("%s", err.text);
		return; /* the timer tries again */
	}
	fill_request(d, &rq);
	dhcp_build(&b, &rq);
	if (d->state == RENEWING)
		to.sin_addr.s_addr = d->offer.server;
	if (!b.failed && sendto(d->fd, b.data, b.size, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		log_debug("DHCP on %s: send: errno %d", d->link.name, errno);
}

static void arm(struct dhcp *d, uint64_t ms)
{
	if (loop_set_timer(d->timer, ms) < 0)
		log_warn("DHCP on %s: cannot set a timer", d->link.name);
}

/* Doubling, with up to an eighth more so that many guests do not march in step. */
static void arm_retransmit(struct dhcp *d)
{
	arm(d, d->delay_ms + random_u32() % (d->delay_ms / 8));
	d->delay_ms = d->delay_ms * 2 < LONGEST_DELAY_MS ? d->delay_ms * 2 : LONGEST_DELAY_MS;
}

static void begin_exchange(struct dhcp *d, enum state state)
{
	d->state = state;
	d->xid = random_u32();
	d->started_ms = d->asked_ms = loop_now_ms();
	d->tries = 0;
	d->delay_ms = FIRST_DELAY_MS;
}

static void discover(struct dhcp *d)
{
	begin_exchange(d, SELECTING);
	send_request(d);
	arm_retransmit(d);
}

static void wait_and_restart(struct dhcp *d)
{
	close_socket(d);
	d->state = WAITING;
	arm(d, LONGEST_DELAY_MS);
}

static void lose(struct dhcp *d)
{
	struct dhcp_lease lost = d->offer;

	memset(&d->offer, 0, sizeof(d->offer));
	d->on_lost(&lost, d->data);
}

/* Seconds from the beginning of the lease to milliseconds from now. */
static uint64_t until(const struct dhcp *d, uint32_t seconds)
{
	uint64_t due = d->bound_ms + (uint64_t)seconds * 1000, now = loop_now_ms();

	return due > now ? due - now : 0;
}

static void accept_lease(struct dhcp *d, const struct dhcp_lease *lease)
{
	/* An answer to a renewal may leave the server out. */
	uint32_t server = lease->server ? lease->server : d->offer.server;
	bool held = d->state == RENEWING || d->state == REBINDING;
	int r;

	if (held && lease->address != d->offer.address)
		lose(d);
	d->offer = *lease;
	d->offer.server = server;
	d->bound_ms = d->asked_ms;
	d->state = BOUND;
	close_socket(d);
	r = d->on_lease(&d->offer, d->data);
	if (r < 0) {
		wait_and_restart(d);
		return;
	}
	/* Also for an endless lease, whose T1 is 68 years away: the retransmission must not fire.
	 */
	arm(d, until(d, d->offer.renew_s));
}

static void take_reply(struct dhcp *d, const struct dhcp_reply *reply)
{
	bool held = d->state == RENEWING || d->state == REBINDING;

	switch (d->state) {
	case SELECTING:
		if (reply->type == DHCP_ACK && reply->rapid_commit) {
			accept_lease(d, &reply->lease);
		} else if (reply->type == DHCP_OFFER && reply->lease.server) {
			d->offer = reply->lease;
			d->state = REQUESTING;
			d->asked_ms = loop_now_ms();
			d->tries = 0;
			d->delay_ms = FIRST_DELAY_MS;
			send_request(d);
			arm_retransmit(d);
		}
		break;
	case REQUESTING:
	case RENEWING:
	case REBINDING:
		/* Only the server that was chosen speaks for its offer. */
		if (d->state == REQUESTING && reply->type == DHCP_ACK &&
		    reply->lease.server != d->offer.server)
			break;
		if (reply->type == DHCP_ACK) {
			accept_lease(d, &reply->lease);
		} else if (reply->type == DHCP_NAK) {
			log_info("DHCP on %s: the server took the address back", d->link.name);
			if (held)
				lose(d);
			/* Not at once: a server that only says no would be asked for ever. */
			close_socket(d);
			d->state = WAITING;
			arm(d, FIRST_DELAY_MS * 4);
		}
		break;
	default:
		break;
	}
}

static void on_readable(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct dhcp *d = data;
	uint8_t message[DHCP_MAX_MESSAGE];

	for (int i = 0; i < DATAGRAMS_A_TURN && d->fd >= 0; i++) {
		struct error err = ERROR_INIT;
		struct dhcp_reply reply;
		ssize_t n = recv(d->fd, message, sizeof(message), 0);
		int r;

		if (n < 0)
			return; /* EAGAIN, or an ICMP error of a unicast: the timer retries */
		r = dhcp_parse(&reply, message, (size_t)n, &err);
		if (r < 0)
			log_debug("%s: %s", d->link.name, err.text);
		if (r != 0 || reply.xid != d->xid ||
		    memcmp(reply.mac, d->link.mac.bytes, sizeof(reply.mac)) != 0)
			continue;
		take_reply(d, &reply);
	}
}

/* T1 has come, or an answer to a renewal has not. */
static void renew(struct dhcp *d)
{
	uint64_t left;

	if (until(d, d->offer.lease_s) == 0) {
		log_warn("DHCP on %s: the lease ran out", d->link.name);
		lose(d);
		discover(d);
		return;
	}
	if (d->state == BOUND)
		begin_exchange(d, RENEWING);
	if (until(d, d->offer.rebind_s) == 0)
		d->state = REBINDING;
	send_request(d);
	/* Half of what is left, as the RFC says, within bounds. */
	left = until(d, d->state == REBINDING ? d->offer.lease_s : d->offer.rebind_s);
	left = left / 2 > RENEW_RETRY_MS ? left / 2 : left < RENEW_RETRY_MS ? left : RENEW_RETRY_MS;
	arm(d, left);
}

static void on_timer(struct loop_source *src, void *data)
{
	struct dhcp *d = data;

	switch (d->state) {
	case SELECTING:
		d->asked_ms = loop_now_ms();
		send_request(d);
		arm_retransmit(d);
		break;
	case REQUESTING:
		if (++d->tries >= REQUESTS_BEFORE_RESTART) {
			discover(d);
			break;
		}
		send_request(d);
		arm_retransmit(d);
		break;
	case BOUND:
	case RENEWING:
	case REBINDING:
		renew(d);
		break;
	case WAITING:
		discover(d);
		break;
	}
}

int dhcp_start(struct dhcp **out, struct loop *loop, const struct net_link *link,
               const char *hostname, dhcp_lease_fn on_lease, dhcp_lost_fn on_lost, void *data,
               struct error *err)
{
	struct dhcp *d;
	int r;

	if (link->mac.len != 6)
		return error_set(err, EINVAL, "DHCP on %s: the link is not Ethernet", link->name);
	d = calloc(1, sizeof(*d));
	if (!d)
		return error_set(err, ENOMEM, "DHCP on %s: no memory", link->name);
	d->loop = loop;
	d->link = *link;
	d->fd = -1;
	d->on_lease = on_lease;
	d->on_lost = on_lost;
	d->data = data;
	if (hostname)
		memcpy(d->hostname, hostname, strnlen(hostname, sizeof(d->hostname) - 1));
	r = loop_add_timer(loop, LONGEST_DELAY_MS, on_timer, d, &d->timer, err);
	if (r < 0) {
		free(d);
		return r;
	}
	discover(d);
	*out = d;
	return 0;
}

void dhcp_stop(struct dhcp *d)
{
	if (!d)
		return;
	close_socket(d);
	loop_source_free(d->timer);
	free(d);
}
