/* SPDX-License-Identifier: Apache-2.0 */
/* dhcp_message: a fixed header, a magic cookie, and options behind bounded cursors. */
#include "dhcp_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define BOOTREQUEST    1
#define BOOTREPLY      2
#define HTYPE_ETHERNET 1
#define FLAG_BROADCAST 0x8000
#define COOKIE         0x63825363
#define CHADDR_AT      28
#define SNAME_AT       44
#define SNAME_SIZE     64
#define FILE_AT        108
#define FILE_SIZE      128
#define HEADER_SIZE    236
#define MIN_MESSAGE    300 /* BOOTP relays drop shorter ones (RFC 1542 section 2.1) */
#define MIN_MTU        576 /* every IPv4 host takes that much (RFC 2132 section 5.1 allows 68) */

enum option {
	OPT_PAD = 0,
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_HOSTNAME = 12,
	OPT_DOMAIN = 15,
	OPT_MTU = 26,
	OPT_REQUESTED = 50,
	OPT_LEASE = 51,
	OPT_OVERLOAD = 52,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_PARAMETERS = 55,
	OPT_MAX_SIZE = 57,
	OPT_T1 = 58,
	OPT_T2 = 59,
	OPT_CLIENT_ID = 61,
	OPT_RAPID_COMMIT = 80,
	OPT_CLASSLESS_ROUTES = 121,
	OPT_END = 255,
};

static void option(struct buffer *b, uint8_t code, const void *data, uint8_t size)
{
	uint8_t head[2] = {code, size};

	buffer_append(b, head, sizeof(head));
	buffer_append(b, data, size);
}

static void build_options(struct buffer *b, const struct dhcp_request *rq)
{
	static const uint8_t wanted[] = {
	    OPT_MASK,  OPT_CLASSLESS_ROUTES, OPT_ROUTER, OPT_DNS, OPT_DOMAIN, OPT_MTU,
	    OPT_LEASE, OPT_SERVER,           OPT_T1,     OPT_T2};
	static const uint8_t max_size[2] = {DHCP_MAX_MESSAGE >> 8, DHCP_MAX_MESSAGE & 0xff};
	uint8_t id[7] = {HTYPE_ETHERNET}, type = (uint8_t)rq->type;
	size_t n = rq->hostname ? strnlen(rq->hostname, 63) : 0;

	memcpy(id + 1, rq->mac, sizeof(rq->mac));
	option(b, OPT_TYPE, &type, 1);
	option(b, OPT_CLIENT_ID, id, sizeof(id));
	if (rq->requested)
		option(b, OPT_REQUESTED, &rq->requested, 4);
	if (rq->server)
		option(b, OPT_SERVER, &rq->server, 4);
	option(b, OPT_MAX_SIZE, max_size, sizeof(max_size));
	option(b, OPT_PARAMETERS, wanted, sizeof(wanted));
	if (rq->rapid_commit)
		option(b, OPT_RAPID_COMMIT, NULL, 0);
	if (n)
		option(b, OPT_HOSTNAME, rq->hostname, (uint8_t)n);
	buffer_fill(b, OPT_END, 1);
}

void dhcp_build(struct buffer *out, const struct dhcp_request *rq)
{
	static const uint8_t head[4] = {BOOTREQUEST, HTYPE_ETHERNET, 6, 0};
	size_t start = out->size;

	buffer_append(out, head, sizeof(head));
	buffer_be32(out, rq->xid);
	buffer_be16(out, rq->secs);
	/* A renewing client has its address and hears a unicast answer. */
	buffer_be16(out, rq->ciaddr ? 0 : FLAG_BROADCAST);
	buffer_append(out, &rq->ciaddr, 4);
	buffer_fill(out, 0, CHADDR_AT - 16);
	buffer_append(out, rq->mac, sizeof(rq->mac));
	buffer_fill(out, 0, HEADER_SIZE - CHADDR_AT - sizeof(rq->mac));
	buffer_be32(out, COOKIE);
	build_options(out, rq);
	if (!out->failed && out->size - start < MIN_MESSAGE)
		buffer_fill(out, OPT_PAD, MIN_MESSAGE - (out->size - start));
}

/* What the options said, before it is judged. */
struct raw {
	uint8_t type, overload;
	bool has_mask, has_router, has_lease;
	uint32_t mask, router, t1, t2;
	uint8_t routes[1024]; /* option 121, its parts put together (RFC 3396) */
	size_t n_routes;
	struct dhcp_reply *reply;
};

static uint32_t raw_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void take_dns(struct raw *raw, const uint8_t *p, size_t n)
{
	struct dhcp_lease *l = &raw->reply->lease;

	for (size_t i = 0; i + 4 <= n && l->n_dns < DHCP_MAX_DNS; i += 4)
		if (raw_u32(p + i))
			l->dns[l->n_dns++] = raw_u32(p + i);
}

/* Only what resolv.conf(5) can take: a newline in it would be a line of the server's own. */
static void take_domain(struct raw *raw, const uint8_t *p, size_t n)
{
	while (n > 0 && p[n - 1] == '\0')
		n--;
	for (size_t i = 0; i < n; i++) {
		bool letter = (p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'z';

		if (!letter && !(p[i] >= '0' && p[i] <= '9') && p[i] != '-' && p[i] != '.')
			return;
	}
	memcpy(raw->reply->lease.domain, p, n);
	raw->reply->lease.domain[n] = '\0';
}

static void take_mtu(struct raw *raw, const uint8_t *p, size_t n)
{
	uint32_t mtu = (uint32_t)p[0] << 8 | p[1];

	if (mtu >= MIN_MTU)
		raw->reply->lease.mtu = mtu;
}

static void take_routes(struct raw *raw, const uint8_t *p, size_t n)
{
	size_t room = sizeof(raw->routes) - raw->n_routes;

	/* Cut, and then refused as malformed: no server needs so many. */
	n = n < room ? n : room;
	memcpy(raw->routes + raw->n_routes, p, n);
	raw->n_routes += n;
}

static void take_type(struct raw *raw, const uint8_t *p, size_t n)
{
	raw->type = p[0];
}

static void take_overload(struct raw *raw, const uint8_t *p, size_t n)
{
	raw->overload = p[0];
}

static void take_rapid(struct raw *raw, const uint8_t *p, size_t n)
{
	raw->reply->rapid_commit = true;
}

static void take_mask(struct raw *raw, const uint8_t *p, size_t n)
{
	raw->has_mask = true;
	raw->mask = get_be32(p);
}

static void take_router(struct raw *raw, const uint8_t *p, size_t n)
{
	raw->has_router = true;
	raw->router = raw_u32(p);
}

static void take_lease(struct raw *raw, const uint8_t *p, size_t n)
{
	raw->has_lease = true;
	raw->reply->lease.lease_s = get_be32(p);
}

static void take_server(struct raw *raw, const uint8_t *p, size_t n)
{
	raw->reply->lease.server = raw_u32(p);
}

static void take_t1(struct raw *raw, const uint8_t *p, size_t n)
{
	raw->t1 = get_be32(p);
}

static void take_t2(struct raw *raw, const uint8_t *p, size_t n)
{
	raw->t2 = get_be32(p);
}

static const struct {
	uint8_t code, min;
	void (*take)(struct raw *raw, const uint8_t *p, size_t n);
} options[] = {
    {OPT_MASK, 4, take_mask},
    {OPT_ROUTER, 4, take_router},
    {OPT_DNS, 4, take_dns},
    {OPT_DOMAIN, 1, take_domain},
    {OPT_MTU, 2, take_mtu},
    {OPT_LEASE, 4, take_lease},
    {OPT_OVERLOAD, 1, take_overload},
    {OPT_TYPE, 1, take_type},
    {OPT_SERVER, 4, take_server},
    {OPT_T1, 4, take_t1},
    {OPT_T2, 4, take_t2},
    {OPT_RAPID_COMMIT, 0, take_rapid},
    {OPT_CLASSLESS_ROUTES, 1, take_routes},
};

static int take_options(struct raw *raw, struct reader r, struct error *err)
{
	while (reader_left(&r) > 0) {
		uint8_t code = reader_u8(&r), size;
		const uint8_t *p;

		if (code == OPT_PAD)
			continue;
		if (code == OPT_END)
			return 0;
		size = reader_u8(&r);
		p = reader_bytes(&r, size);
		if (!p || r.failed)
			return error_set_kind(err, ERROR_INPUT, EBADMSG,
			                      "DHCP reply: option %u runs over its field", code);
		for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
			if (options[i].code == code && size >= options[i].min)
				options[i].take(raw, p, size);
	}
	return 0;
}

/* RFC 3442: a prefix length, as many bytes of destination as it needs, a gateway. */
static int judge_routes(struct raw *raw, struct error *err)
{
	struct dhcp_lease *l = &raw->reply->lease;
	struct reader r = reader_init(raw->routes, raw->n_routes);

	/* With this option the router option must not be used. */
	if (raw->n_routes == 0) {
		if (raw->has_router && raw->router)
			l->routes[l->n_routes++] = (struct dhcp_route){.gateway = raw->router};
		return 0;
	}
	while (reader_left(&r) > 0) {
		struct dhcp_route route = {.prefix = reader_u8(&r)};
		size_t n = (route.prefix + 7u) / 8;
		const uint8_t *dest = n <= 4 ? reader_bytes(&r, n) : NULL;
		const uint8_t *gateway = reader_bytes(&r, 4);

		if (!dest || !gateway)
			return error_set_kind(err, ERROR_INPUT, EBADMSG,
			                      "DHCP reply: malformed classless routes");
		if (n)
			memcpy(&route.dest, dest, n);
		/* Bits beyond the prefix would make the kernel refuse the route. */
		route.dest &= route.prefix ? htonl(UINT32_MAX << (32 - route.prefix)) : 0;
		route.gateway = raw_u32(gateway);
		if (l->n_routes < DHCP_MAX_ROUTES)
			l->routes[l->n_routes++] = route;
	}
	return 0;
}

static void judge_times(struct raw *raw)
{
	struct dhcp_lease *l = &raw->reply->lease;

	if (!raw->has_lease)
		l->lease_s = DHCP_FOREVER;
	if (l->lease_s < DHCP_MIN_LEASE_S)
		l->lease_s = DHCP_MIN_LEASE_S;
	/* RFC 2131 section 4.4.5: T1 is half, T2 seven eighths, if they are not said sensibly. */
	l->renew_s = raw->t1;
	l->rebind_s = raw->t2;
	if (l->rebind_s >= l->lease_s || l->rebind_s < DHCP_MIN_LEASE_S / 2)
		l->rebind_s = l->lease_s - l->lease_s / 8;
	if (l->renew_s >= l->rebind_s || l->renew_s < DHCP_MIN_LEASE_S / 4)
		l->renew_s = l->lease_s / 2 < l->rebind_s ? l->lease_s / 2 : l->rebind_s / 2;
}

/* A host's address: not 0/8, 127/8, class D or E. */
static bool usable(uint32_t address)
{
	uint8_t first = (uint8_t)(ntohl(address) >> 24);

	return first != 0 && first != 127 && first < 224;
}

static int judge_lease(struct raw *raw, struct error *err)
{
	struct dhcp_lease *l = &raw->reply->lease;
	uint32_t bits = (uint32_t)__builtin_popcount(raw->mask);
	uint8_t first = (uint8_t)(ntohl(l->address) >> 24);

	if (!usable(l->address))
		return error_set_kind(err, ERROR_INPUT, EBADMSG,
		                      "DHCP reply: %u.x.x.x is no address for a host", first);
	if (raw->has_mask && (!bits || raw->mask != UINT32_MAX << (32 - bits)))
		return error_set_kind(err, ERROR_INPUT, EBADMSG, "DHCP reply: broken netmask %08x",
		                      raw->mask);
	/* Without a mask the class of the address says, as it did before there were masks. */
	l->prefix = (uint8_t)(raw->has_mask ? bits : first < 128 ? 8 : first < 192 ? 16 : 24);
	judge_times(raw);
	return judge_routes(raw, err);
}

/* Options may go on in the file and sname fields (RFC 2132 section 9.3), in that order. */
static int take_all_options(struct raw *raw, const uint8_t *data, size_t size, struct error *err)
{
	struct reader r = reader_init(data + HEADER_SIZE + 4, size - HEADER_SIZE - 4);
	int result = take_options(raw, r, err);
	uint8_t overload = raw->overload;

	if (result == 0 && overload & 1)
		result = take_options(raw, reader_init(data + FILE_AT, FILE_SIZE), err);
	if (result == 0 && overload & 2)
		result = take_options(raw, reader_init(data + SNAME_AT, SNAME_SIZE), err);
	return result;
}

int dhcp_parse(struct dhcp_reply *out, const uint8_t *data, size_t size, struct error *err)
{
	struct raw raw = {.reply = out};
	int r;

	memset(out, 0, sizeof(*out));
	if (size < HEADER_SIZE + 4 || data[0] != BOOTREPLY || data[1] != HTYPE_ETHERNET ||
	    data[2] != 6 || get_be32(data + HEADER_SIZE) != COOKIE)
		return 1;
	out->xid = get_be32(data + 4);
	out->lease.address = raw_u32(data + 16);
	memcpy(out->mac, data + CHADDR_AT, sizeof(out->mac));
	r = take_all_options(&raw, data, size, err);
	if (r < 0)
		return r;
	if (raw.type != DHCP_OFFER && raw.type != DHCP_ACK && raw.type != DHCP_NAK)
		return 1;
	out->type = raw.type;
	return raw.type == DHCP_NAK ? 0 : judge_lease(&raw, err);
}
