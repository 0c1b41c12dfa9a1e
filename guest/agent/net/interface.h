/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interface: the network as the Kata agent protocol sees it: interfaces, routes and neighbours
 * with addresses as text.
 *
 * The structures follow types.Interface, types.Route and types.ARPNeighbor member by member.
 * Inputs point to the caller's strings; outputs own theirs (fixed arrays inside the element).
 * Nothing here waits: a handler whose interface is being hot-plugged waits for its uevent first
 * (guest/agent/device/).
 */
#pragma once

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>

#include "net_types.h"
#include "netlink.h"

/* types.IPAddress. */
struct net_ip_text {
	bool v6;
	const char *address;
	const char *mask; /* prefix length as decimal text; "" or NULL: a host's */
};

struct net_interface_request {
	const char *device; /* informational */
	const char *name;   /* the name it is to have; "" keeps the present one */
	const struct net_ip_text *addresses;
	size_t n_addresses;
	uint64_t mtu;        /* 0 keeps the present one */
	const char *hw_addr; /* "" or NULL: found by name alone */
	uint32_t raw_flags;  /* of IFF_* only IFF_NOARP counts */
};

/* Finds the link by hw_addr, or else by name (and gives it hw_addr); adds addresses, renames,
 * sets MTU and ARP flag, and brings it up. If another link has the name it gets the old name
 * of this one. IPv6 addresses are skipped where the kernel has IPv6 disabled. */
int net_interface_update(struct netlink *nl, const struct net_interface_request *want,
                         struct error *err);

struct net_interface {
	char name[IFNAMSIZ];
	char hw_addr[NET_MAC_TEXT];
	char type[16];
	uint32_t mtu;
	uint32_t raw_flags;
	struct net_interface_ip {
		bool v6;
		char address[NET_ADDR_TEXT];
		char mask[4];
	} * addresses;
	size_t n_addresses;
};

/* All links with their addresses; free with net_interfaces_free(). */
int net_interfaces_list(struct netlink *nl, struct net_interface **out, size_t *n,
                        struct error *err);
void net_interfaces_free(struct net_interface *v, size_t n);

struct net_route_request {
	const char *dest; /* "" or NULL: default route */
	const char *gateway;
	const char *device;
	const char *source;
	uint32_t scope;
	bool v6;
	uint32_t flags;
	uint32_t mtu;
};

/* Routes without a gateway go in first, since the others need them. An equal route that is
 * there already is success. What the list does not have goes, but for the kernel's own routes and
 * those of the loopback link. */
int net_routes_update(struct netlink *nl, const struct net_route_request *v, size_t n,
                      struct error *err);

struct net_route_info {
	char dest[NET_ADDR_TEXT]; /* "address/prefix", "" for a default route */
	char gateway[NET_ADDR_TEXT];
	char device[IFNAMSIZ];
	char source[NET_ADDR_TEXT];
	uint32_t scope;
	bool v6;
	uint32_t flags;
	uint32_t mtu;
};

/* The main table. *out is malloc'ed. */
int net_routes_list(struct netlink *nl, struct net_route_info **out, size_t *n, struct error *err);

struct net_neighbor_request {
	struct net_ip_text to;
	const char *device;
	const char *lladdr;
	int32_t state; /* NUD_*; 0: NUD_PERMANENT */
	int32_t flags;
};

int net_neighbors_add(struct netlink *nl, const struct net_neighbor_request *v, size_t n,
                      struct error *err);
