/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_net: which network a guest is given: what is on this host's side of it, and how the guest's
 * side is configured.
 *
 * IPv4 addresses are told to a guest that boots by the kernel's word `ip=`, and to one that runs by
 * its agent (UpdateInterface, UpdateRoutes).
 */
#pragma once

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"

enum guest_net_kind {
	GUEST_NET_NONE,
	GUEST_NET_USER, /* outgoing connections, by QEMU or passt(1): 10.0.2.15, as
	                   BOOT_WORDS_NET_USER */
	GUEST_NET_TAP,  /* a tap interface of this host's, which the caller has made and configured
	                 */
};

struct guest_net {
	enum guest_net_kind kind;
	char tap[IFNAMSIZ]; /* of GUEST_NET_TAP: its name */
	uint8_t mac[6];     /* of the guest's interface */
	uint16_t mtu; /* that the guest is told; 0: it is not, or guest_net_open() will find out */
	bool dhcp;    /* the guest asks a server; the next four are empty */
	char address[INET_ADDRSTRLEN], gateway[INET_ADDRSTRLEN],
	    dns[INET_ADDRSTRLEN]; /* "": none */
	uint8_t prefix;
};

/* As on a command line, each NULL when it was not given. */
struct guest_net_words {
	const char *net; /* "none", "user" (NULL is that), "tap=NAME" */
	const char *ip;  /* of a tap: "ADDRESS/PREFIX", "dhcp" (NULL is that), "none" */
	const char *gateway, *dns, *mac;
};

/* -EINVAL, of kind usage. Without a word for it a guest on a tap, which is not alone on its wire,
 * has an address of its own, drawn at random (52:54:00:..). */
int guest_net_parse(struct guest_net *n, const struct guest_net_words *w, struct error *err);

/* The word `ip=...` for its eth0; "" when there is nothing to say. */
#define GUEST_NET_WORD_MAX 96
void guest_net_word(const struct guest_net *n, char word[GUEST_NET_WORD_MAX]);

/* Of a guest that runs, whose agent is told its addresses. */
#define GUEST_NET_NO_DHCP                                                                          \
	"a guest that runs already does not ask a DHCP server: say --ip ADDRESS/PREFIX, or --ip "  \
	"none to leave the interface without an address"

/* "52:54:00:12:34:56" */
#define GUEST_NET_MAC_TEXT 18
void guest_net_mac(const struct guest_net *n, char text[GUEST_NET_MAC_TEXT]);

/* Opens a tap, which has to be there, as net_tap_new() wants it, and takes its MTU when none is
 * set: a descriptor, or of other kinds -1. -ENODEV: there is no such interface; -EBUSY: another
 * program has it. */
int guest_net_open(struct guest_net *n, int *fd, struct error *err);
