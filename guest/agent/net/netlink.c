/* SPDX-License-Identifier: Apache-2.0 */
/* netlink: the socket, one request at a time, answers matched by sequence number. */
#include "netlink.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nlmsg.h"
#include "rtnl.h"

/* The kernel fills dump replies up to 32 KiB when the reader asks for that much. */
#define REPLY_MAX   32768
#define REQUEST_MAX 1024

/* linux/netlink.h of musl's age has them; the values are ABI. */
#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

struct netlink {
	int fd;
	uint32_t seq;
	struct buffer request;
};

int netlink_new(struct netlink **out, struct error *err)
{
	struct netlink *nl = calloc(1, sizeof(*nl));
	int one = 1;

	if (!nl)
		return error_set(err, ENOMEM, "no memory for a netlink socket");
	nl->request.limit = REQUEST_MAX;
	nl->seq = 1; /* 0 is what the kernel numbers its own messages with */
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (nl->fd < 0) {
		int r = error_errno(err, errno, "open a netlink socket");

		netlink_free(nl);
		return r;
	}
	/* Acknowledgements without the request in them; the kernel then says in words why. */
	(void)setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	(void)setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	*out = nl;
	return 0;
}

void netlink_free(struct netlink *nl)
{
	if (!nl)
		return;
	close_fd(&nl->fd);
	buffer_free(&nl->request);
	free(nl);
}

/* An empty request buffer; what is built in it has the number nl->seq. */
static struct buffer *request(struct netlink *nl)
{
	buffer_clear(&nl->request);
	return &nl->request;
}

typedef int (*body_fn)(struct reader body, void *data);

/* What the kernel said in an error message, if anything. */
static void explain(struct reader body, const struct nlmsg *m, char *out, size_t room)
{
	struct nlattr_view at[NLMSGERR_ATTR_MSG + 1];

	*out = '\0';
	if (!(m->header.nlmsg_flags & NLM_F_ACK_TLVS) || !(m->header.nlmsg_flags & NLM_F_CAPPED))
		return;
	reader_skip(&body, sizeof(struct nlmsghdr));
	if (nlattr_table(body, at, sizeof(at) / sizeof(*at)) == 0)
		nlattr_str(&at[NLMSGERR_ATTR_MSG], out, room);
}

/* 1: the reply is complete; 0: more comes; negative: refused, or the bytes are wrong. */
static int take_message(const struct nlmsg *m, bool one_answer, body_fn fn, void *data,
                        struct error *err)
{
	struct reader body = m->body;
	int32_t code = 0;
	char why[128];
	int r;

	if (m->header.nlmsg_type == NLMSG_DONE || m->header.nlmsg_type == NLMSG_ERROR) {
		/* Both begin with an errno value; DONE may go without one. */
		const uint8_t *p = reader_bytes(&body, sizeof(code));

		if (p)
			memcpy(&code, p, sizeof(code));
		if (code == 0)
			return 1;
		explain(body, m, why, sizeof(why));
		if (code > 0 || code < -4095)
			return error_set(err, EBADMSG, "netlink: errno value %d", code);
		return *why ? error_errno(err, -code, "%s", why)
		            : error_errno(err, -code, "netlink");
	}
	if (m->header.nlmsg_type < NLMSG_MIN_TYPE || !fn)
		return 0;
	r = fn(m->body, data);
	if (r < 0)
		return r == -EBADMSG ? error_set(err, EBADMSG, "netlink: malformed reply")
		                     : error_errno(err, -r, "netlink");
	return one_answer ? 1 : 0;
}

static int take_datagram(struct netlink *nl, const uint8_t *data, size_t size, bool one_answer,
                         body_fn fn, void *arg, struct error *err)
{
	struct reader r = reader_init(data, size);
	struct nlmsg m;
	int got;

	while ((got = nlmsg_next(&r, &m)) > 0) {
		int done;

		if (m.header.nlmsg_seq != nl->seq)
			continue; /* the rest of a reply that was given up */
		done = take_message(&m, one_answer, fn, arg, err);
		if (done != 0)
			return done;
	}
	return got < 0 ? error_set(err, EBADMSG, "netlink: malformed reply") : 0;
}

/* A dump that was given up half-way must be read to its end before the next request. */
static int give_up(struct netlink *nl, uint8_t *reply, int r)
{
	while (recv(nl->fd, reply, REPLY_MAX, MSG_DONTWAIT) > 0)
		;
	return r;
}

static int exchange(struct netlink *nl, bool one_answer, body_fn fn, void *data, struct error *err)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	_cleanup_free_ uint8_t *reply = NULL;

	if (nl->request.failed)
		return error_set(err, ENOMEM, "netlink: no memory for a request");
	reply = malloc(REPLY_MAX);
	if (!reply)
		return error_set(err, ENOMEM, "netlink: no memory for a reply");
	if (sendto(nl->fd, nl->request.data, nl->request.size, 0, (struct sockaddr *)&kernel,
	           sizeof(kernel)) < 0)
		return error_errno(err, errno, "netlink: send");
	for (;;) {
		struct sockaddr_nl from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(nl->fd, reply, REPLY_MAX, MSG_DONTWAIT,
		                     (struct sockaddr *)&from, &len);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "netlink: receive");
		if (len < sizeof(from) || from.nl_pid != 0)
			continue; /* only the kernel is asked, so only it may answer */
		r = take_datagram(nl, reply, (size_t)n, one_answer, fn, data, err);
		if (r != 0)
			return r < 0 ? give_up(nl, reply, r) : 0;
	}
}

/* Sends nl->request and hands every answer's body to fn. */
static int transact(struct netlink *nl, bool one_answer, body_fn fn, void *data, struct error *err)
{
	int r = exchange(nl, one_answer, fn, data, err);

	nl->seq++;
	return r;
}

/* A growing array of one kind of thing. */
struct list {
	void *items; /* owned */
	size_t n, room, item_size;
	uint32_t filter; /* link index or table; 0: all */
};

static void *list_slot(struct list *l)
{
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 16;
		void *items = reallocarray(l->items, room, l->item_size);

		if (!items)
			return NULL;
		l->items = items;
		l->room = room;
	}
	return (char *)l->items + l->n * l->item_size;
}

/* Room for one more; -E2BIG or -ENOMEM. */
static int list_next(struct list *l, void **slot)
{
	if (l->n >= NETLINK_MAX_LIST)
		return -E2BIG;
	*slot = list_slot(l);
	return *slot ? 0 : -ENOMEM;
}

static int add_link(struct reader body, void *data)
{
	struct list *l = data;
	void *slot;
	int r = list_next(l, &slot);

	if (r == 0)
		r = rtnl_parse_link(body, slot);
	l->n += r == 0;
	return r < 0 ? r : 0;
}

static int add_addr(struct reader body, void *data)
{
	struct list *l = data;
	struct net_link_addr *a;
	void *slot;
	int r = list_next(l, &slot);

	if (r < 0)
		return r;
	a = slot;
	r = rtnl_parse_addr(body, a);
	l->n += r == 0 && (!l->filter || a->index == l->filter);
	return r < 0 ? r : 0;
}

static int add_route(struct reader body, void *data)
{
	struct list *l = data;
	struct net_route *route;
	void *slot;
	int r = list_next(l, &slot);

	if (r < 0)
		return r;
	route = slot;
	r = rtnl_parse_route(body, route);
	l->n += r == 0 && (!l->filter || route->table == l->filter);
	return r < 0 ? r : 0;
}

static int dump(struct netlink *nl, uint16_t type, body_fn fn, struct list *l, size_t *n,
                const char *what, struct error *err)
{
	int r;

	rtnl_dump(request(nl), type, nl->seq);
	r = transact(nl, false, fn, l, err);
	if (r < 0) {
		free(l->items);
		return error_prefix(err, r, "list %s", what);
	}
	*n = l->n;
	if (l->n == 0) {
		free(l->items);
		l->items = NULL;
	}
	return 0;
}

int netlink_links(struct netlink *nl, struct net_link **out, size_t *n, struct error *err)
{
	struct list l = {.item_size = sizeof(**out)};
	int r = dump(nl, RTM_GETLINK, add_link, &l, n, "links", err);

	if (r == 0)
		*out = l.items;
	return r;
}

int netlink_addrs(struct netlink *nl, uint32_t index, struct net_link_addr **out, size_t *n,
                  struct error *err)
{
	struct list l = {.item_size = sizeof(**out), .filter = index};
	int r = dump(nl, RTM_GETADDR, add_addr, &l, n, "addresses", err);

	if (r == 0)
		*out = l.items;
	return r;
}

int netlink_routes(struct netlink *nl, uint32_t table, struct net_route **out, size_t *n,
                   struct error *err)
{
	struct list l = {.item_size = sizeof(**out), .filter = table};
	int r = dump(nl, RTM_GETROUTE, add_route, &l, n, "routes", err);

	if (r == 0)
		*out = l.items;
	return r;
}

static int take_link(struct reader body, void *data)
{
	int r = rtnl_parse_link(body, data);

	return r == 1 ? -EBADMSG : r;
}

int netlink_link_by_name(struct netlink *nl, const char *name, struct net_link *out,
                         struct error *err)
{
	int r;

	if (!net_name_valid(name))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "\"%.32s\" is no link name", name);
	rtnl_link_get(request(nl), name, nl->seq);
	r = transact(nl, true, take_link, out, err);
	return r < 0 ? error_prefix(err, r, "find link %s", name) : 0;
}

int netlink_link_by_mac(struct netlink *nl, const struct net_mac *mac, struct net_link *out,
                        struct error *err)
{
	_cleanup_free_ struct net_link *links = NULL;
	char text[NET_MAC_TEXT];
	size_t n;
	int r = netlink_links(nl, &links, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (!net_mac_equal(&links[i].mac, mac))
			continue;
		*out = links[i];
		return 0;
	}
	net_mac_format(mac, text);
	return error_set(err, ENODEV, "no link has the address %s", text);
}

static int simple(struct netlink *nl, struct error *err, const char *doing, uint32_t index)
{
	int r = transact(nl, false, NULL, NULL, err);

	return r < 0 ? error_prefix(err, r, "%s (link %u)", doing, index) : 0;
}

int netlink_link_flags(struct netlink *nl, uint32_t index, uint32_t flags, uint32_t mask,
                       struct error *err)
{
	rtnl_link_flags(request(nl), index, flags, mask, nl->seq);
	return simple(nl, err, "set link flags", index);
}

int netlink_link_mtu(struct netlink *nl, uint32_t index, uint32_t mtu, struct error *err)
{
	rtnl_link_attr(request(nl), index, IFLA_MTU, &mtu, sizeof(mtu), nl->seq);
	return simple(nl, err, "set the MTU", index);
}

int netlink_link_rename(struct netlink *nl, uint32_t index, const char *name, struct error *err)
{
	if (!net_name_valid(name))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "\"%.32s\" is no link name", name);
	rtnl_link_attr(request(nl), index, IFLA_IFNAME, name, strlen(name) + 1, nl->seq);
	return simple(nl, err, "rename", index);
}

int netlink_link_mac(struct netlink *nl, uint32_t index, const struct net_mac *mac,
                     struct error *err)
{
	rtnl_link_attr(request(nl), index, IFLA_ADDRESS, mac->bytes, mac->len, nl->seq);
	return simple(nl, err, "set the hardware address", index);
}

int netlink_addr_replace(struct netlink *nl, const struct net_link_addr *a, struct error *err)
{
	char text[NET_ADDR_TEXT];
	int r;

	rtnl_addr(request(nl), RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, a, nl->seq);
	r = simple(nl, err, "add address", a->index);
	net_addr_format(&a->addr, true, text);
	return r < 0 ? error_prefix(err, r, "%s", text) : 0;
}

int netlink_addr_delete(struct netlink *nl, const struct net_link_addr *a, struct error *err)
{
	int r;

	rtnl_addr(request(nl), RTM_DELADDR, 0, a, nl->seq);
	r = simple(nl, err, "delete address", a->index);
	return r == -EADDRNOTAVAIL ? 0 : r;
}

static int route(struct netlink *nl, uint16_t type, uint16_t flags, const struct net_route *rt,
                 struct error *err)
{
	char text[NET_ADDR_TEXT] = "default";
	int r;

	rtnl_route(request(nl), type, flags, rt, nl->seq);
	r = simple(nl, err, type == RTM_NEWROUTE ? "add route" : "delete route", rt->index);
	if (rt->dest.family && rt->dest.prefix)
		net_addr_format(&rt->dest, true, text);
	return r < 0 ? error_prefix(err, r, "%s", text) : 0;
}

int netlink_route_replace(struct netlink *nl, const struct net_route *r, struct error *err)
{
	return route(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, r, err);
}

int netlink_route_delete(struct netlink *nl, const struct net_route *r, struct error *err)
{
	struct net_route what = *r;
	int result;

	what.flags = 0; /* what the kernel told of its state is not for sending */
	result = route(nl, RTM_DELROUTE, 0, &what, err);
	return result == -ESRCH ? 0 : result;
}

int netlink_neighbor_replace(struct netlink *nl, const struct net_neighbor *n, struct error *err)
{
	rtnl_neighbor(request(nl), RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, n, nl->seq);
	return simple(nl, err, "add neighbour", n->index);
}
