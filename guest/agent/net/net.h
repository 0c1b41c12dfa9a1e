/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net: the network that the kernel words ask for, brought up without holding up the boot.
 *
 * net_start() applies static addresses at once and starts DHCP clients on the loop; a link that
 * does not exist yet is configured when it appears. Whoever needs the network says so with
 * net_wait_ready() and a deadline. Without an `ip=` word nothing is touched and the network
 * counts as ready: the host configures it by the agent protocol (interface.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "guest/init/cmdline.h"
#include "lib/base/cleanup.h"
#include "lib/base/loop.h"
#include "netlink.h"

struct net;

int net_start(struct net **out, struct loop *loop, const struct cmdline *cmdline,
              struct error *err);
void net_free(struct net *net); /* NULL is fine; waiters are dropped without a call */
DEFINE_CLEANUP(struct net, net, net_free)
#define _cleanup_net_ _cleanup_(cleanup_net)

/* The socket of the network calls of interface.h; valid as long as `net`. */
struct netlink *net_netlink(struct net *net);

/* Every `ip=` word is applied (addresses set, leases held). */
bool net_is_ready(const struct net *net);

/* result: 0, or -ETIMEDOUT with err saying what is still missing. */
typedef void (*net_ready_fn)(int result, const struct error *err, void *data);

/* Calls fn once, never from inside this call. */
int net_wait_ready(struct net *net, uint64_t timeout_ms, net_ready_fn fn, void *data,
                   struct error *err);
