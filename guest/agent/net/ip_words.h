/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ip_words: the kernel word `ip=`, with the syntax of the kernel's nfsroot.txt:
 *
 *	ip=CLIENT:SERVER:GATEWAY:MASK:HOSTNAME:DEVICE:AUTOCONF:DNS0:DNS1
 *	ip=dhcp   ip=off
 *
 * MASK may be a prefix length. The server and a tenth (time server) field are accepted and not
 * used. Without DEVICE it is the first Ethernet link. Several words configure several links.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest/init/cmdline.h"
#include "net_types.h"

#define IP_WORDS_MAX 8

struct ip_word {
	bool dhcp;
	char device[IFNAMSIZ]; /* "": the first Ethernet link */
	char hostname[65];
	struct net_addr address; /* with its prefix; AF_UNSPEC with dhcp */
	struct net_addr gateway;
	struct net_addr dns[2];
	size_t n_dns;
};

/* One value. 0; 1 when it says off; -EINVAL names the field. */
int ip_word_parse(struct ip_word *out, const char *value, struct error *err);
/* All of them; out has room for IP_WORDS_MAX. A word that is wrong is an error. */
int ip_words_read(const struct cmdline *c, struct ip_word *out, size_t *n, struct error *err);
