/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-netlink: any bytes as netlink messages and as the kernel word ip=. */
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/agent/net/ip_words.h"
#include "guest/agent/net/rtnl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(data, size);
	char text[NET_ADDR_TEXT];
	struct net_link_addr addr;
	struct net_route route;
	struct net_link link;
	struct ip_word word;
	struct nlmsg m;
	char *copy;

	while (nlmsg_next(&r, &m) > 0) {
		if (rtnl_parse_link(m.body, &link) == 0 && !memchr(link.name, 0, sizeof(link.name)))
			abort();
		if (rtnl_parse_addr(m.body, &addr) == 0)
			net_addr_format(&addr.addr, true, text);
		if (rtnl_parse_route(m.body, &route) == 0 && route.dest.family)
			net_addr_format(&route.dest, true, text);
	}
	copy = strndup((const char *)data, size);
	if (copy)
		(void)ip_word_parse(&word, copy, NULL);
	free(copy);
	return 0;
}
