/* SPDX-License-Identifier: Apache-2.0 */
/* agent: everything that lives as long as the process, and what every handler gets. */
#pragma once

#include <stdbool.h>

#include "guest/agent/agent_config.h"
#include "guest/agent/debug_console.h"
#include "guest/agent/device/uevent.h"
#include "guest/agent/log_port.h"
#include "guest/agent/net/net.h"
#include "guest/agent/net/netlink.h"
#include "guest/agent/policy.h"
#include "guest/agent/sandbox.h"
#include "guest/agent/trace.h"
#include "lib/base/loop.h"
#include "lib/rpc/server.h"

#define AGENT_API_VERSION "0.0.1"

struct agent {
	struct loop *loop;
	struct agent_config config;
	struct rpc_server *server;
	struct uevents *uevents; /* NULL when the kernel has none to tell */
	struct net *net;
	struct netlink *netlink; /* for the network calls; net's, or one of our own */
	struct sandbox sandbox;
	struct log_port *log_port;
	struct debug_console *console;
	struct traces traces;
	struct policy *policy; /* NULL: everything is allowed */
	bool pid1;             /* power off at the end, instead of exiting */
	uint64_t scrapes;      /* GetMetrics calls */
};
