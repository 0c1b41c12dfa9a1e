/* SPDX-License-Identifier: Apache-2.0 */
/* rtnl: the family headers and attributes of links, addresses, routes and neighbours. */
#include "rtnl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#define ACK (NLM_F_REQUEST | NLM_F_ACK)

static void attr_addr(struct buffer *b, uint16_t type, const struct net_addr *a)
{
	nlmsg_attr(b, type, a->bytes, net_addr_len(a->family));
}

void rtnl_dump(struct buffer *b, uint16_t type, uint32_t seq)
{
	/* struct rtmsg is the longest of the family headers but for links and neighbours; a dump
	 * request only has its family byte read, which is 0 (any) in all of them. */
	struct ifinfomsg any = {.ifi_family = AF_UNSPEC};
	size_t start = b->size;
	size_t size = type == RTM_GETLINK   ? sizeof(any)
	              : type == RTM_GETADDR ? sizeof(struct ifaddrmsg)
	                                    : sizeof(struct rtmsg);

	nlmsg_begin(b, type, NLM_F_REQUEST | NLM_F_DUMP, seq, &any, size);
	nlmsg_end(b, start);
}

void rtnl_link_get(struct buffer *b, const char *name, uint32_t seq)
{
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC};
	size_t start = b->size;

	nlmsg_begin(b, RTM_GETLINK, NLM_F_REQUEST, seq, &ifi, sizeof(ifi));
	nlmsg_attr_str(b, IFLA_IFNAME, name);
	nlmsg_end(b, start);
}

void rtnl_link_flags(struct buffer *b, uint32_t index, uint32_t flags, uint32_t mask, uint32_t seq)
{
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC,
	                        .ifi_index = (int)index,
	                        .ifi_flags = flags,
	                        .ifi_change = mask};
	size_t start = b->size;

	nlmsg_begin(b, RTM_NEWLINK, ACK, seq, &ifi, sizeof(ifi));
	nlmsg_end(b, start);
}

void rtnl_link_attr(struct buffer *b, uint32_t index, uint16_t attr, const void *data, size_t size,
                    uint32_t seq)
{
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index};
	size_t start = b->size;

	nlmsg_begin(b, RTM_NEWLINK, ACK, seq, &ifi, sizeof(ifi));
	nlmsg_attr(b, attr, data, size);
	nlmsg_end(b, start);
}

/* The directed broadcast address, where a prefix leaves room for one. */
static void attr_broadcast(struct buffer *b, const struct net_addr *a)
{
	uint32_t host;

	if (a->family != AF_INET || a->prefix > 30)
		return;
	host = get_be32(a->bytes) | (uint32_t)((UINT64_C(1) << (32 - a->prefix)) - 1);
	host = __builtin_bswap32(host);
	nlmsg_attr(b, IFA_BROADCAST, &host, sizeof(host));
}

void rtnl_addr(struct buffer *b, uint16_t type, uint16_t flags, const struct net_link_addr *a,
               uint32_t seq)
{
	struct ifaddrmsg ifa = {.ifa_family = a->addr.family,
	                        .ifa_prefixlen = a->addr.prefix,
	                        .ifa_scope = a->scope,
	                        .ifa_index = a->index};
	size_t start = b->size;

	nlmsg_begin(b, type, (uint16_t)(ACK | flags), seq, &ifa, sizeof(ifa));
	attr_addr(b, IFA_LOCAL, &a->addr);
	attr_addr(b, IFA_ADDRESS, &a->addr);
	if (type == RTM_NEWADDR) {
		attr_broadcast(b, &a->addr);
		/* The host gave it: asking the neighbours whether it is free would only make
		 * the first connections fail (RFC 4862 section 5.4 is for self-made ones). */
		if (a->addr.family == AF_INET6)
			nlmsg_attr_u32(b, IFA_FLAGS, IFA_F_NODAD);
	}
	if (a->valid_s) {
		struct ifa_cacheinfo ci = {.ifa_prefered = a->valid_s, .ifa_valid = a->valid_s};

		nlmsg_attr(b, IFA_CACHEINFO, &ci, sizeof(ci));
	}
	nlmsg_end(b, start);
}

void rtnl_route(struct buffer *b, uint16_t type, uint16_t flags, const struct net_route *r,
                uint32_t seq)
{
	uint32_t table = r->table ? r->table : RT_TABLE_MAIN;
	struct rtmsg rt = {.rtm_family = r->family,
	                   .rtm_dst_len = r->dest.family ? r->dest.prefix : 0,
	                   .rtm_table = (uint8_t)(table < 256 ? table : RT_TABLE_UNSPEC),
	                   .rtm_protocol = r->protocol ? r->protocol : RTPROT_BOOT,
	                   .rtm_scope = r->scope,
	                   .rtm_type = r->type ? r->type : RTN_UNICAST,
	                   .rtm_flags = r->flags};
	size_t start = b->size;

	nlmsg_begin(b, type, (uint16_t)(ACK | flags), seq, &rt, sizeof(rt));
	if (rt.rtm_dst_len)
		attr_addr(b, RTA_DST, &r->dest);
	if (r->gateway.family)
		attr_addr(b, RTA_GATEWAY, &r->gateway);
	if (r->source.family)
		attr_addr(b, RTA_PREFSRC, &r->source);
	if (r->index)
		nlmsg_attr_u32(b, RTA_OIF, r->index);
	if (r->priority)
		nlmsg_attr_u32(b, RTA_PRIORITY, r->priority);
	nlmsg_attr_u32(b, RTA_TABLE, table);
	if (r->mtu) {
		size_t nest = nlmsg_nest_begin(b, RTA_METRICS);

		nlmsg_attr_u32(b, RTAX_MTU, r->mtu);
		nlmsg_nest_end(b, nest);
	}
	nlmsg_end(b, start);
}

void rtnl_neighbor(struct buffer *b, uint16_t type, uint16_t flags, const struct net_neighbor *n,
                   uint32_t seq)
{
	struct ndmsg nd = {.ndm_family = n->addr.family,
	                   .ndm_ifindex = (int)n->index,
	                   .ndm_state = n->state,
	                   .ndm_flags = n->flags};
	size_t start = b->size;

	nlmsg_begin(b, type, (uint16_t)(ACK | flags), seq, &nd, sizeof(nd));
	attr_addr(b, NDA_DST, &n->addr);
	if (n->mac.len)
		nlmsg_attr(b, NDA_LLADDR, n->mac.bytes, n->mac.len);
	nlmsg_end(b, start);
}

/* The family header, copied out; what is left of `body` are the attributes. */
static int take_header(struct reader *body, void *out, size_t size)
{
	const uint8_t *p = reader_bytes(body, size);

	if (!p)
		return -EBADMSG;
	memcpy(out, p, size);
	return 0;
}

static int take_addr(const struct nlattr_view *a, uint8_t family, uint8_t prefix,
                     struct net_addr *out)
{
	if (!a->data)
		return 0;
	if (a->size != net_addr_len(family) || prefix > a->size * 8)
		return -EBADMSG;
	out->family = family;
	out->prefix = prefix;
	memcpy(out->bytes, a->data, a->size);
	return 0;
}

int rtnl_parse_link(struct reader body, struct net_link *out)
{
	struct nlattr_view at[IFLA_LINKINFO + 1], info[IFLA_INFO_KIND + 1];
	struct ifinfomsg ifi;

	if (take_header(&body, &ifi, sizeof(ifi)) < 0 ||
	    nlattr_table(body, at, sizeof(at) / sizeof(*at)) < 0)
		return -EBADMSG;
	if (ifi.ifi_index <= 0 || ifi.ifi_family != AF_UNSPEC)
		return 1;
	*out = (struct net_link){.index = (uint32_t)ifi.ifi_index,
	                         .flags = ifi.ifi_flags,
	                         .type = ifi.ifi_type,
	                         .mtu = nlattr_u32(&at[IFLA_MTU])};
	nlattr_str(&at[IFLA_IFNAME], out->name, sizeof(out->name));
	if (at[IFLA_ADDRESS].data && at[IFLA_ADDRESS].size <= NET_MAC_MAX) {
		out->mac.len = (uint8_t)at[IFLA_ADDRESS].size;
		memcpy(out->mac.bytes, at[IFLA_ADDRESS].data, out->mac.len);
	}
	if (at[IFLA_LINKINFO].data) {
		struct reader r = reader_init(at[IFLA_LINKINFO].data, at[IFLA_LINKINFO].size);

		if (nlattr_table(r, info, sizeof(info) / sizeof(*info)) < 0)
			return -EBADMSG;
		nlattr_str(&info[IFLA_INFO_KIND], out->kind, sizeof(out->kind));
	}
	return *out->name ? 0 : -EBADMSG;
}

int rtnl_parse_addr(struct reader body, struct net_link_addr *out)
{
	struct nlattr_view at[IFA_CACHEINFO + 1];
	const struct nlattr_view *a;
	struct ifaddrmsg ifa;

	if (take_header(&body, &ifa, sizeof(ifa)) < 0 ||
	    nlattr_table(body, at, sizeof(at) / sizeof(*at)) < 0)
		return -EBADMSG;
	if (!net_addr_len(ifa.ifa_family))
		return 1;
	*out = (struct net_link_addr){.index = ifa.ifa_index, .scope = ifa.ifa_scope};
	/* On a point-to-point link IFA_ADDRESS is the other end. */
	a = at[IFA_LOCAL].data ? &at[IFA_LOCAL] : &at[IFA_ADDRESS];
	if (!a->data)
		return -EBADMSG;
	return take_addr(a, ifa.ifa_family, ifa.ifa_prefixlen, &out->addr);
}

int rtnl_parse_route(struct reader body, struct net_route *out)
{
	struct nlattr_view at[RTA_TABLE + 1], metrics[RTAX_MTU + 1];
	struct rtmsg rt;
	uint8_t host;

	if (take_header(&body, &rt, sizeof(rt)) < 0 ||
	    nlattr_table(body, at, sizeof(at) / sizeof(*at)) < 0)
		return -EBADMSG;
	if (!net_addr_len(rt.rtm_family))
		return 1;
	*out = (struct net_route){.family = rt.rtm_family,
	                          .scope = rt.rtm_scope,
	                          .protocol = rt.rtm_protocol,
	                          .type = rt.rtm_type,
	                          .table = at[RTA_TABLE].data ? nlattr_u32(&at[RTA_TABLE])
	                                                      : rt.rtm_table,
	                          .flags = rt.rtm_flags,
	                          .index = nlattr_u32(&at[RTA_OIF]),
	                          .priority = nlattr_u32(&at[RTA_PRIORITY])};
	host = (uint8_t)(net_addr_len(rt.rtm_family) * 8);
	if (take_addr(&at[RTA_DST], rt.rtm_family, rt.rtm_dst_len, &out->dest) < 0 ||
	    take_addr(&at[RTA_GATEWAY], rt.rtm_family, host, &out->gateway) < 0 ||
	    take_addr(&at[RTA_PREFSRC], rt.rtm_family, host, &out->source) < 0)
		return -EBADMSG;
	if (at[RTA_METRICS].data) {
		struct reader r = reader_init(at[RTA_METRICS].data, at[RTA_METRICS].size);

		if (nlattr_table(r, metrics, sizeof(metrics) / sizeof(*metrics)) < 0)
			return -EBADMSG;
		out->mtu = nlattr_u32(&metrics[RTAX_MTU]);
	}
	return 0;
}
