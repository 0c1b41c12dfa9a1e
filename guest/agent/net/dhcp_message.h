/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dhcp_message: DHCPv4 messages as bytes (RFC 2131, options of RFC 2132, 3396, 3442, 4039).
 *
 * The server's bytes are hostile: lengths are checked, counts bounded, and values that would harm
 * (a multicast address, a broken mask, a lease of one second) are refused or corrected here.
 * Addresses are struct in_addr order (network byte order) in a uint32_t.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

#define DHCP_MAX_MESSAGE 1500
#define DHCP_MAX_DNS     3 /* MAXNS of resolv.conf(5) */
#define DHCP_MAX_ROUTES  32
#define DHCP_MIN_LEASE_S 60
#define DHCP_FOREVER     UINT32_MAX

enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER,
	DHCP_REQUEST,
	DHCP_DECLINE,
	DHCP_ACK,
	DHCP_NAK,
	DHCP_RELEASE,
	DHCP_INFORM,
};

struct dhcp_route {
	uint32_t dest;
	uint8_t prefix;
	uint32_t gateway; /* 0: on the link */
};

struct dhcp_lease {
	uint32_t address;
	uint8_t prefix;
	uint32_t server;
	uint32_t lease_s, renew_s, rebind_s; /* lease_s DHCP_FOREVER: no renewal */
	uint32_t mtu;                        /* 0: not said */
	uint32_t dns[DHCP_MAX_DNS];
	size_t n_dns;
	struct dhcp_route routes[DHCP_MAX_ROUTES]; /* of option 121, else the router of option 3 */
	size_t n_routes;
	char domain[256]; /* "" or a name of letters, digits, '-' and '.' */
};

struct dhcp_reply {
	enum dhcp_type type;
	uint32_t xid;
	uint8_t mac[6];
	bool rapid_commit;
	struct dhcp_lease lease; /* for OFFER and ACK */
};

struct dhcp_request {
	enum dhcp_type type;
	uint32_t xid;
	uint16_t secs;
	uint8_t mac[6];
	uint32_t ciaddr;      /* our address when renewing or rebinding, else 0 */
	uint32_t requested;   /* option 50, 0: not sent */
	uint32_t server;      /* option 54, 0: not sent */
	bool rapid_commit;    /* option 80 */
	const char *hostname; /* option 12; NULL or "": not sent; cut at 63 bytes */
};

/* Writes the BOOTP message without UDP and IP headers, at least 300 bytes. */
void dhcp_build(struct buffer *out, const struct dhcp_request *rq);

/* 0; 1 when it is no reply to a client (not a BOOTREPLY, no message type, no magic cookie);
 * -EBADMSG when an option runs over its field or a lease cannot be used. */
int dhcp_parse(struct dhcp_reply *out, const uint8_t *data, size_t size, struct error *err);
