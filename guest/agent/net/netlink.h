/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink: one rtnetlink socket; requests for links, addresses, routes and neighbours.
 *
 * The kernel works on a request inside sendmsg(2) and its answer is in the socket when that
 * returns, so no call here waits for anything, and pid 1 may use all of them in its loop.
 * Lists are bounded (NETLINK_MAX_LIST); -E2BIG beyond.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "net_types.h"

#define NETLINK_MAX_LIST 65536

struct netlink;

int netlink_new(struct netlink **out, struct error *err);
void netlink_free(struct netlink *nl);
DEFINE_CLEANUP(struct netlink, netlink, netlink_free)
#define _cleanup_netlink_ _cleanup_(cleanup_netlink)

/* Arrays are malloc'ed and the caller's; *n == 0 leaves *out NULL. */
int netlink_links(struct netlink *nl, struct net_link **out, size_t *n, struct error *err);
/* index 0: of all links. */
int netlink_addrs(struct netlink *nl, uint32_t index, struct net_link_addr **out, size_t *n,
                  struct error *err);
/* table 0: of all tables. */
int netlink_routes(struct netlink *nl, uint32_t table, struct net_route **out, size_t *n,
                   struct error *err);

/* -ENODEV when there is no such link. */
int netlink_link_by_name(struct netlink *nl, const char *name, struct net_link *out,
                         struct error *err);
int netlink_link_by_mac(struct netlink *nl, const struct net_mac *mac, struct net_link *out,
                        struct error *err);

/* Sets the bits of `mask` among IFF_* to those of `flags` (IFF_UP, IFF_NOARP). */
int netlink_link_flags(struct netlink *nl, uint32_t index, uint32_t flags, uint32_t mask,
                       struct error *err);
int netlink_link_mtu(struct netlink *nl, uint32_t index, uint32_t mtu, struct error *err);
int netlink_link_rename(struct netlink *nl, uint32_t index, const char *name, struct error *err);
int netlink_link_mac(struct netlink *nl, uint32_t index, const struct net_mac *mac,
                     struct error *err);

/* Adds the address or renews the lifetime of one that is there. */
int netlink_addr_replace(struct netlink *nl, const struct net_link_addr *a, struct error *err);
/* An address that is not there is success. */
int netlink_addr_delete(struct netlink *nl, const struct net_link_addr *a, struct error *err);

int netlink_route_replace(struct netlink *nl, const struct net_route *r, struct error *err);
/* As netlink_routes() told of it. One that is not there is success. */
int netlink_route_delete(struct netlink *nl, const struct net_route *r, struct error *err);

int netlink_neighbor_replace(struct netlink *nl, const struct net_neighbor *n, struct error *err);
