/* SPDX-License-Identifier: Apache-2.0 */
/* interface: the network calls of the agent protocol on rtnetlink. */
#include "interface.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"

#define MAX_REQUESTED 4096 /* addresses, routes or neighbours in one call */

static int bad(struct error *err, const char *what, const char *text)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "\"%.64s\" is no %s", text, what);
}

static bool ipv6_disabled(void)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	/* Without IPv6 in the kernel the file is not there. */
	if (fs_read_file(AT_FDCWD, "/proc/sys/net/ipv6/conf/all/disable_ipv6", 16, &b, NULL) < 0)
		return true;
	return buffer_cstr(&b)[0] == '1';
}

/* An address without prefix, of the family said. */
static int parse_host(const char *text, bool v6, struct net_addr *out, struct error *err)
{
	if (net_addr_parse(out, text) < 0 || out->family != (v6 ? AF_INET6 : AF_INET) ||
	    strchr(text, '/'))
		return bad(err, v6 ? "IPv6 address" : "IPv4 address", text);
	return 0;
}

static int parse_ip(const struct net_ip_text *ip, struct net_addr *out, struct error *err)
{
	int r = parse_host(ip->address, ip->v6, out, err);

	if (r == 0 && !str_empty(ip->mask) &&
	    net_prefix_parse(ip->mask, out->family, &out->prefix) < 0)
		return bad(err, "prefix length", ip->mask);
	return r;
}

static int find_link(struct netlink *nl, const struct net_interface_request *want,
                     struct net_link *link, struct error *err)
{
	struct net_mac mac = {.len = 0};
	int r;

	if (!str_empty(want->hw_addr)) {
		if (net_mac_parse(&mac, want->hw_addr) < 0)
			return bad(err, "hardware address", want->hw_addr);
		r = netlink_link_by_mac(nl, &mac, link, err);
		if (r != -ENODEV || str_empty(want->name))
			return r;
		error_clear(err);
	}
	if (str_empty(want->name))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "neither a name nor a hardware address is given");
	r = netlink_link_by_name(nl, want->name, link, err);
	return r == 0 && mac.len ? netlink_link_mac(nl, link->index, &mac, err) : r;
}

/* Linux before 6.2 renames only links that are down. */
static int rename_link(struct netlink *nl, const struct net_link *link, const char *name,
                       struct error *err)
{
	int r = netlink_link_rename(nl, link->index, name, err);

	if (r != -EBUSY || !(link->flags & IFF_UP))
		return r;
	error_clear(err);
	r = netlink_link_flags(nl, link->index, 0, IFF_UP, err);
	if (r == 0)
		r = netlink_link_rename(nl, link->index, name, err);
	(void)netlink_link_flags(nl, link->index, IFF_UP, IFF_UP, NULL);
	return r;
}

/* Gives `link` the name. Who has it gets the old name of `link`, by way of a third one: names are
 * unique at every moment. */
static int take_name(struct netlink *nl, const struct net_link *link, const char *name,
                     struct error *err)
{
	struct net_link holder;
	char temp[IFNAMSIZ];
	int r;

	if (str_empty(name) || strcmp(link->name, name) == 0)
		return 0;
	r = netlink_link_by_name(nl, name, &holder, err);
	if (r == -ENODEV) {
		error_clear(err);
		return rename_link(nl, link, name, err);
	}
	if (r < 0)
		return r;
	(void)snprintf(temp, sizeof(temp), "swap%u", holder.index);
	r = rename_link(nl, &holder, temp, err);
	if (r == 0)
		r = rename_link(nl, link, name, err);
	if (r == 0)
		return rename_link(nl, &holder, link->name, err);
	/* Half a swap would leave a stranger's link without its name. */
	(void)rename_link(nl, &holder, name, NULL);
	return r;
}

static int add_addresses(struct netlink *nl, const struct net_interface_request *want,
                         uint32_t index, struct error *err)
{
	bool no_v6 = ipv6_disabled();

	for (size_t i = 0; i < want->n_addresses; i++) {
		struct net_link_addr a = {.index = index};
		int r = parse_ip(&want->addresses[i], &a.addr, err);

		if (r == 0 && !(want->addresses[i].v6 && no_v6))
			r = netlink_addr_replace(nl, &a, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int update_link(struct netlink *nl, const struct net_interface_request *want,
                       const struct net_link *link, struct error *err)
{
	/* The name first: where a rename takes the link down, that would drop IPv6 addresses. */
	int r = take_name(nl, link, want->name, err);

	if (r == 0)
		r = add_addresses(nl, want, link->index, err);
	if (r == 0 && want->mtu)
		r = netlink_link_mtu(nl, link->index, (uint32_t)want->mtu, err);
	if (r == 0)
		r = netlink_link_flags(nl, link->index, IFF_UP | (want->raw_flags & IFF_NOARP),
		                       IFF_UP | IFF_NOARP, err);
	return r;
}

int net_interface_update(struct netlink *nl, const struct net_interface_request *want,
                         struct error *err)
{
	struct net_link link;
	int r;

	if (!str_empty(want->name) && !net_name_valid(want->name))
		return bad(err, "link name", want->name);
	if (want->mtu > UINT32_MAX || want->n_addresses > MAX_REQUESTED)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "interface %s: MTU or number of addresses out of range",
		                      want->name ? want->name : "");
	r = find_link(nl, want, &link, err);
	if (r == 0)
		r = update_link(nl, want, &link, err);
	return r < 0 ? error_prefix(err, r, "update interface %s",
	                            str_empty(want->name) ? want->hw_addr : want->name)
	             : 0;
}

void net_interfaces_free(struct net_interface *v, size_t n)
{
	for (size_t i = 0; v && i < n; i++)
		free(v[i].addresses);
	free(v);
}

static int fill_interface(struct net_interface *out, const struct net_link *link,
                          const struct net_link_addr *addrs, size_t n)
{
	*out = (struct net_interface){.mtu = link->mtu, .raw_flags = link->flags};
	strcpy(out->name, link->name);
	strcpy(out->type, link->kind);
	net_mac_format(&link->mac, out->hw_addr);
	for (size_t i = 0; i < n; i++)
		out->n_addresses += addrs[i].index == link->index;
	if (!out->n_addresses)
		return 0;
	out->addresses = calloc(out->n_addresses, sizeof(*out->addresses));
	if (!out->addresses)
		return -ENOMEM;
	for (size_t i = 0, k = 0; i < n; i++) {
		struct net_interface_ip *ip = &out->addresses[k];

		if (addrs[i].index != link->index)
			continue;
		ip->v6 = addrs[i].addr.family == AF_INET6;
		net_addr_format(&addrs[i].addr, false, ip->address);
		(void)snprintf(ip->mask, sizeof(ip->mask), "%u", addrs[i].addr.prefix);
		k++;
	}
	return 0;
}

int net_interfaces_list(struct netlink *nl, struct net_interface **out, size_t *n,
                        struct error *err)
{
	_cleanup_free_ struct net_link *links = NULL;
	_cleanup_free_ struct net_link_addr *addrs = NULL;
	struct net_interface *v;
	size_t n_links, n_addrs;
	int r = netlink_links(nl, &links, &n_links, err);

	if (r == 0)
		r = netlink_addrs(nl, 0, &addrs, &n_addrs, err);
	if (r < 0)
		return r;
	v = calloc(n_links ? n_links : 1, sizeof(*v));
	if (!v)
		return error_set(err, ENOMEM, "no memory for the list of interfaces");
	for (size_t i = 0; r == 0 && i < n_links; i++)
		r = fill_interface(&v[i], &links[i], addrs, n_addrs);
	if (r < 0) {
		net_interfaces_free(v, n_links);
		return error_set(err, ENOMEM, "no memory for the list of interfaces");
	}
	*out = v;
	*n = n_links;
	return 0;
}

static int find_route(struct netlink *nl, const struct net_route_request *want,
                      struct net_route *route, struct error *err)
{
	struct net_link link;
	int r = 0;

	*route = (struct net_route){.family = want->v6 ? AF_INET6 : AF_INET,
	                            .scope = (uint8_t)want->scope,
	                            .flags = want->flags,
	                            .mtu = want->mtu};
	if (!str_empty(want->dest) &&
	    (net_addr_parse(&route->dest, want->dest) < 0 || route->dest.family != route->family))
		return bad(err, "destination", want->dest);
	if (!str_empty(want->gateway))
		r = parse_host(want->gateway, want->v6, &route->gateway, err);
	if (r == 0 && !str_empty(want->source))
		r = parse_host(want->source, want->v6, &route->source, err);
	if (r == 0 && !str_empty(want->device))
		r = netlink_link_by_name(nl, want->device, &link, err);
	if (r == 0 && !str_empty(want->device))
		route->index = link.index;
	return r;
}

static bool same_address(const struct net_addr *a, const struct net_addr *b)
{
	if (!a->family || !b->family) /* none, which as a destination is everything */
		return a->prefix == 0 && b->prefix == 0;
	return a->prefix == b->prefix && net_addr_in(a, b);
}

/* A route to a link that the kernel made with the link's address stays the kernel's: replaced, it
 * would go with the next list that does not name it. */
static bool is_kernels(const struct net_route *want, const struct net_route *v, size_t n)
{
	for (size_t i = 0; i < n && !want->gateway.family && !want->mtu; i++)
		if (v[i].protocol == RTPROT_KERNEL && v[i].family == want->family &&
		    v[i].index == want->index && same_address(&v[i].dest, &want->dest))
			return true;
	return false;
}

static bool is_wanted(const struct net_route *there, const struct net_route *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].family == there->family && same_address(&v[i].dest, &there->dest) &&
		    same_address(&v[i].gateway, &there->gateway) &&
		    (!v[i].index || v[i].index == there->index))
			return true;
	return false;
}

/* The list of a request is all that there shall be, as for Kata's agent: what others entered
 * before goes, but for the kernel's own routes and those of the loopback link. */
static int remove_others(struct netlink *nl, const struct net_route *v, size_t n, struct error *err)
{
	_cleanup_free_ struct net_route *routes = NULL;
	struct net_link lo = {0};
	size_t n_routes;
	int r;

	if (netlink_link_by_name(nl, "lo", &lo, err) < 0)
		error_clear(err);
	r = netlink_routes(nl, RT_TABLE_MAIN, &routes, &n_routes, err);
	for (size_t i = 0; i < n_routes && r == 0; i++) {
		const struct net_route *there = &routes[i];

		if (there->protocol == RTPROT_KERNEL || there->index == 0 ||
		    there->index == lo.index || is_wanted(there, v, n))
			continue;
		r = netlink_route_delete(nl, there, err);
	}
	return r;
}

/* What a request lists, on its way into the kernel. */
struct update {
	const struct net_route_request *v;
	size_t n;
	struct net_route *before, *added;
	size_t n_before, n_added;
};

static int add_route(struct netlink *nl, const struct net_route_request *want, struct update *u,
                     struct error *err)
{
	struct net_route *route = &u->added[u->n_added++];
	int r = find_route(nl, want, route, err);

	if (r == 0 && !is_kernels(route, u->before, u->n_before))
		r = netlink_route_replace(nl, route, err);
	if (r == -EEXIST) {
		error_clear(err);
		r = 0;
	}
	return r;
}

static int update_routes(struct netlink *nl, struct update *u, struct error *err)
{
	bool no_v6 = ipv6_disabled();

	for (int with_gateway = 0; with_gateway <= 1; with_gateway++) {
		for (size_t i = 0; i < u->n; i++) {
			const struct net_route_request *want = &u->v[i];
			int r;

			if (!str_empty(want->gateway) != with_gateway || (want->v6 && no_v6))
				continue;
			r = add_route(nl, want, u, err);
			if (r < 0)
				return r;
		}
	}
	return remove_others(nl, u->added, u->n_added, err);
}

int net_routes_update(struct netlink *nl, const struct net_route_request *v, size_t n,
                      struct error *err)
{
	struct update u = {.v = v, .n = n};
	int r;

	if (n > MAX_REQUESTED)
		return error_set_kind(err, ERROR_INPUT, E2BIG, "%zu routes, at most %d are taken",
		                      n, MAX_REQUESTED);
	u.added = calloc(n + 1, sizeof(*u.added));
	r = u.added ? netlink_routes(nl, RT_TABLE_MAIN, &u.before, &u.n_before, err)
	            : error_set(err, ENOMEM, "no memory");
	if (r == 0)
		r = update_routes(nl, &u, err);
	free(u.before);
	free(u.added);
	return r < 0 ? error_prefix(err, r, "update routes") : 0;
}

static const char *link_name(const struct net_link *links, size_t n, uint32_t index)
{
	for (size_t i = 0; i < n; i++)
		if (links[i].index == index)
			return links[i].name;
	return "";
}

static void fill_route(struct net_route_info *out, const struct net_route *route,
                       const char *device)
{
	*out = (struct net_route_info){.scope = route->scope,
	                               .v6 = route->family == AF_INET6,
	                               .flags = route->flags,
	                               .mtu = route->mtu};
	strcpy(out->device, device);
	if (route->dest.family && route->dest.prefix)
		net_addr_format(&route->dest, true, out->dest);
	if (route->gateway.family)
		net_addr_format(&route->gateway, false, out->gateway);
	if (route->source.family)
		net_addr_format(&route->source, false, out->source);
}

int net_routes_list(struct netlink *nl, struct net_route_info **out, size_t *n, struct error *err)
{
	_cleanup_free_ struct net_link *links = NULL;
	_cleanup_free_ struct net_route *routes = NULL;
	struct net_route_info *v;
	size_t n_links, n_routes;
	int r = netlink_links(nl, &links, &n_links, err);

	if (r == 0)
		r = netlink_routes(nl, RT_TABLE_MAIN, &routes, &n_routes, err);
	if (r < 0)
		return r;
	v = calloc(n_routes ? n_routes : 1, sizeof(*v));
	if (!v)
		return error_set(err, ENOMEM, "no memory for the list of routes");
	for (size_t i = 0; i < n_routes; i++)
		fill_route(&v[i], &routes[i], link_name(links, n_links, routes[i].index));
	*out = v;
	*n = n_routes;
	return 0;
}

static int add_neighbor(struct netlink *nl, const struct net_neighbor_request *want,
                        struct error *err)
{
	struct net_neighbor nb = {.state = want->state ? (uint16_t)want->state : NUD_PERMANENT,
	                          .flags = (uint8_t)want->flags};
	struct net_link link;
	int r = parse_host(want->to.address ? want->to.address : "", want->to.v6, &nb.addr, err);

	if (r < 0)
		return r;
	if (!str_empty(want->lladdr) && net_mac_parse(&nb.mac, want->lladdr) < 0)
		return bad(err, "hardware address", want->lladdr);
	r = netlink_link_by_name(nl, want->device ? want->device : "", &link, err);
	if (r < 0)
		return r;
	nb.index = link.index;
	return netlink_neighbor_replace(nl, &nb, err);
}

int net_neighbors_add(struct netlink *nl, const struct net_neighbor_request *v, size_t n,
                      struct error *err)
{
	if (n > MAX_REQUESTED)
		return error_set_kind(err, ERROR_INPUT, E2BIG,
		                      "%zu neighbours, at most %d are taken", n, MAX_REQUESTED);
	for (size_t i = 0; i < n; i++) {
		int r = add_neighbor(nl, &v[i], err);

		if (r < 0)
			return error_prefix(err, r, "add ARP neighbour");
	}
	return 0;
}
