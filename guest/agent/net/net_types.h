/* SPDX-License-Identifier: Apache-2.0 */
/* net_types: addresses, links, routes and neighbours, as values. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/base/error.h"

#define NET_MAC_MAX   32 /* MAX_ADDR_LEN of the kernel */
#define NET_ADDR_TEXT 50 /* room for "address/prefix" */
#define NET_MAC_TEXT  (NET_MAC_MAX * 3)

struct net_addr {
	uint8_t family; /* AF_INET, AF_INET6; AF_UNSPEC: not set */
	uint8_t prefix; /* bits; 32 or 128 for a host */
	uint8_t bytes[16];
};

struct net_mac {
	uint8_t len; /* 0: none */
	uint8_t bytes[NET_MAC_MAX];
};

struct net_link {
	uint32_t index;
	uint32_t flags; /* IFF_* */
	uint32_t mtu;
	uint16_t type; /* ARPHRD_* */
	char name[IFNAMSIZ];
	char kind[16]; /* "veth", "bridge", ...; "" for a device of its own */
	struct net_mac mac;
};

struct net_link_addr {
	uint32_t index; /* of the link */
	uint8_t scope;  /* RT_SCOPE_* */
	struct net_addr addr;
	uint32_t valid_s; /* for adding: seconds to live, 0 = for ever */
};

struct net_route {
	uint8_t family;
	uint8_t scope;           /* RT_SCOPE_* */
	uint8_t protocol;        /* RTPROT_*; 0 when adding: RTPROT_BOOT */
	uint8_t type;            /* RTN_*; 0 when adding: RTN_UNICAST */
	uint32_t table;          /* RT_TABLE_*; 0 when adding: RT_TABLE_MAIN */
	uint32_t flags;          /* RTNH_F_* */
	uint32_t index;          /* output link, 0: none */
	uint32_t mtu;            /* 0: the link's */
	uint32_t priority;       /* metric, 0: the kernel's default */
	struct net_addr dest;    /* prefix 0 (or family AF_UNSPEC): default route */
	struct net_addr gateway; /* AF_UNSPEC: none */
	struct net_addr source;  /* preferred source, AF_UNSPEC: none */
};

struct net_neighbor {
	uint32_t index;
	uint16_t state; /* NUD_* */
	uint8_t flags;  /* NTF_* */
	struct net_addr addr;
	struct net_mac mac;
};

/* "192.0.2.1", "192.0.2.0/24", "2001:db8::1/64"; without a prefix it is a host's. -EINVAL. */
int net_addr_parse(struct net_addr *out, const char *text);
/* out has NET_ADDR_TEXT bytes. */
void net_addr_format(const struct net_addr *a, bool with_prefix, char *out);
/* 4, 16 or 0 for any other family. */
size_t net_addr_len(uint8_t family);
/* Does the network `net` hold the address? */
bool net_addr_in(const struct net_addr *net, const struct net_addr *a);
/* "255.255.255.0" or "24". -EINVAL when not contiguous or too long for the family. */
int net_prefix_parse(const char *text, uint8_t family, uint8_t *prefix);

/* "52:54:00:12:34:56", two hex digits a byte. -EINVAL. */
int net_mac_parse(struct net_mac *out, const char *text);
/* out has NET_MAC_TEXT bytes. */
void net_mac_format(const struct net_mac *m, char *out);
bool net_mac_equal(const struct net_mac *a, const struct net_mac *b);

/* Names the kernel takes: 1..15 bytes, no '/', no blank, not "." or "..". */
bool net_name_valid(const char *name);
