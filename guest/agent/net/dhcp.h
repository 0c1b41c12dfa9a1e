/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dhcp: a DHCPv4 client for one link, on the loop (RFC 2131 section 4.4).
 *
 * It asks (with rapid commit, RFC 4039), retransmits with doubling delays from 1 s to 64 s,
 * hands every lease to `on_lease`, renews at T1, rebinds at T2, and starts over when the lease ends
 * or the server says no. Its socket is open only while an exchange is under way. Replies are
 * asked for by broadcast, so a plain UDP socket bound to the link receives them.
 */
#pragma once

#include <stdint.h>

#include "dhcp_message.h"
#include "lib/base/cleanup.h"
#include "lib/base/loop.h"
#include "net_types.h"

struct dhcp;

/* A lease was got or renewed. Return 0, or a negative errno value when it cannot be applied: the
 * client then declines nothing but starts over after its longest delay. */
typedef int (*dhcp_lease_fn)(const struct dhcp_lease *lease, void *data);
/* The lease is gone (ran out, or the server refused to renew it). */
typedef void (*dhcp_lost_fn)(const struct dhcp_lease *lease, void *data);

/* link: index, name and an Ethernet MAC (-EINVAL without one); it must be up. hostname: may be
 * NULL; copied. */
int dhcp_start(struct dhcp **out, struct loop *loop, const struct net_link *link,
               const char *hostname, dhcp_lease_fn on_lease, dhcp_lost_fn on_lost, void *data,
               struct error *err);
void dhcp_stop(struct dhcp *d); /* NULL is fine; tells the server nothing */
