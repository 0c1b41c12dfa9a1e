/* SPDX-License-Identifier: Apache-2.0 */
/* net_options: which network a guest is to have, on the command lines of several verbs. */
#pragma once

#include <stddef.h>

#include "host-shim/hypervisor/guest_net.h"
#include "lib/base/options.h"

/* Rows of a verb's option table; `member` is its struct guest_net_words. */
#define NET_OPTION_ROW(type, member)                                                               \
	{                                                                                          \
		"net", 0, OPTION_STRING, offsetof(type, member.net), "NETWORK", NULL,              \
		    "user (default): outgoing connections, this host is 10.0.2.2; none; "          \
		    "tap=INTERFACE:\n"                                                             \
		    "a tap interface of this host that is there and may be this user's"            \
	}
#define NET_ADDRESS_ROWS(type, member)                                                             \
	{"ip",                                                                                     \
	 0,                                                                                        \
	 OPTION_STRING,                                                                            \
	 offsetof(type, member.ip),                                                                \
	 "ADDRESS/PREFIX",                                                                         \
	 NULL,                                                                                     \
	 "of the guest on a tap, IPv4: 192.0.2.5/24; dhcp (default where the guest boots);\n"      \
	 "none: whoever is in the guest sees to it"},                                              \
	    {"gateway",                                                                            \
	     0,                                                                                    \
	     OPTION_STRING,                                                                        \
	     offsetof(type, member.gateway),                                                       \
	     "ADDRESS",                                                                            \
	     NULL,                                                                                 \
	     "the guest's default route, with --ip"},                                              \
	    {"dns",                                                                                \
	     0,                                                                                    \
	     OPTION_STRING,                                                                        \
	     offsetof(type, member.dns),                                                           \
	     "ADDRESS",                                                                            \
	     NULL,                                                                                 \
	     "the guest's name server, with --ip"},                                                \
	{                                                                                          \
		"mac", 0, OPTION_STRING, offsetof(type, member.mac), "ADDRESS", NULL,              \
		    "of the guest's interface (default on a tap: 52:54:00 and three random "       \
		    "bytes)"                                                                       \
	}
