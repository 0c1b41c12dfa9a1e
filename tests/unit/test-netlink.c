/* SPDX-License-Identifier: Apache-2.0 */
/* test-netlink: requests and replies against bytes written by hand from rtnetlink(7), text forms of
 * addresses, and, in a network namespace of the test's own, the kernel's answers. */
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <sched.h>

#include "check.h"
#include "guest/agent/net/interface.h"
#include "guest/agent/net/ip_words.h"
#include "guest/agent/net/netlink.h"
#include "guest/agent/net/rtnl.h"

TEST(address_request_bytes)
{
	static const uint8_t want[] = {
	    0x40, 0,  0, 0, 20,  0, 0x05, 0x05, 7,  0, 0, 0, 0, 0, 0, 0, /* NEWADDR, seq 7 */
	    2,    24, 0, 0, 3,   0, 0,    0,                             /* IPv4 /24, link 3 */
	    8,    0,  2, 0, 192, 0, 2,    9,                             /* IFA_LOCAL */
	    8,    0,  1, 0, 192, 0, 2,    9,                             /* IFA_ADDRESS */
	    8,    0,  4, 0, 192, 0, 2,    255,                           /* IFA_BROADCAST */
	    20,   0,  6, 0, 60,  0, 0,    0,    60, 0, 0, 0,             /* IFA_CACHEINFO: */
	    0,    0,  0, 0, 0,   0, 0,    0,                             /* preferred, valid */
	};
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct net_link_addr a = {.index = 3, .valid_s = 60};

	check_int(sizeof(want), 0x44);
	check_int(net_addr_parse(&a.addr, "192.0.2.9/24"), 0);
	rtnl_addr(&b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &a, 7);
	check(!b.failed);
	check_int(b.size, sizeof(want));
	/* The length and flags by name, since the table above is for reading. */
	check_int(get_le32(b.data), sizeof(want));
	check_int(get_le16(b.data + 6), NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
	check_mem(b.data + 4, want + 4, 2);
	check_mem(b.data + 8, want + 8, sizeof(want) - 8);
}

TEST(route_request_bytes)
{
	static const uint8_t want[] = {
	    2,   0, 0,  0,    254, 3, 0, 1,
	    4,   0, 0,  0,                  /* IPv4 default, main, boot, unicast, onlink */
	    8,   0, 5,  0,    10,  0, 2, 2, /* RTA_GATEWAY */
	    8,   0, 4,  0,    2,   0, 0, 0, /* RTA_OIF */
	    8,   0, 15, 0,    254, 0, 0, 0, /* RTA_TABLE */
	    12,  0, 8,  0x80, 8,   0, 2, 0,
	    120, 5, 0,  0, /* RTA_METRICS { RTAX_MTU 1400 } */
	};
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct net_route r = {.family = AF_INET, .index = 2, .flags = RTNH_F_ONLINK, .mtu = 1400};

	check_int(net_addr_parse(&r.gateway, "10.0.2.2"), 0);
	rtnl_route(&b, RTM_NEWROUTE, NLM_F_CREATE, &r, 1);
	check(!b.failed);
	check_int(b.size, 16 + sizeof(want));
	check_mem(b.data + 16, want, sizeof(want));
}

static const uint8_t link_message[] = {
    84, 0, 0,    0,    16,   0,    2,   0,    1,    0,    0,   0,
    0,  0, 0,    0, /* header: 84 bytes, NEWLINK */
    0,  0, 1,    0,    2,    0,    0,   0,    3,    0x10, 0,   0,
    0,  0, 0,    0, /* Ethernet, index 2, flags 0x1003 */
    9,  0, 3,    0,    'e',  't',  'h', '0',  0,    0,    0,   0, /* IFLA_IFNAME and padding */
    8,  0, 4,    0,    0xdc, 5,    0,   0,                        /* IFLA_MTU 1500 */
    10, 0, 1,    0,    0x52, 0x54, 0,   0x12, 0x34, 0x56, 0,   0, /* IFLA_ADDRESS and padding */
    16, 0, 18,   0,    9,    0,    1,   0,    'v',  'e',  't', 'h',
    0,  0, 0,    0,    /* LINKINFO { KIND } */
    4,  0, 0x44, 0x80, /* an attribute we do not know */
};

TEST(link_reply)
{
	struct reader r = reader_init(link_message, sizeof(link_message));
	struct net_link l;
	struct nlmsg m;
	char mac[NET_MAC_TEXT];

	check_int(sizeof(link_message), 84);
	check_int(nlmsg_next(&r, &m), 1);
	check_int(m.header.nlmsg_type, RTM_NEWLINK);
	check_int(rtnl_parse_link(m.body, &l), 0);
	check_int(nlmsg_next(&r, &m), 0);
	check_int(l.index, 2);
	check_int(l.flags, 0x1003);
	check_int(l.mtu, 1500);
	check_str(l.name, "eth0");
	check_str(l.kind, "veth");
	net_mac_format(&l.mac, mac);
	check_str(mac, "52:54:00:12:34:56");
}

/* Every length that lies is refused, and no byte past the end is read (under ASAN=1). */
TEST(lying_lengths)
{
	for (size_t cut = 1; cut < sizeof(link_message); cut++) {
		_cleanup_free_ uint8_t *copy = malloc(cut);
		struct reader r = reader_init(copy, cut);
		struct nlmsg m;

		memcpy(copy, link_message, cut);
		check_int(nlmsg_next(&r, &m), -EBADMSG);
	}
	for (size_t at = 32; at < sizeof(link_message); at++) {
		_cleanup_free_ uint8_t *copy = malloc(sizeof(link_message));
		struct reader r = reader_init(copy, sizeof(link_message));
		struct net_link l;
		struct nlmsg m;

		memcpy(copy, link_message, sizeof(link_message));
		copy[at] = 0xff;
		check_int(nlmsg_next(&r, &m), 1);
		(void)rtnl_parse_link(m.body, &l);
	}
}

TEST(route_reply)
{
	static const uint8_t body[] = {
	    2, 24, 0,  0, 254, 2, 253, 1, 0, 0, 0,  0, 8, 0,  15, 0, 254, 0, 0, 0, 8, 0,
	    1, 0,  10, 0, 2,   0, 8,   0, 7, 0, 10, 0, 2, 15, 8,  0, 4,   0, 2, 0, 0, 0,
	};
	static const uint8_t wrong[] = {2, 33, 0, 0, 254, 2, 253, 1, 0, 0,
	                                0, 0,  8, 0, 1,   0, 10,  0, 2, 0};
	struct net_route r;
	char text[NET_ADDR_TEXT];

	check_int(rtnl_parse_route(reader_init(body, sizeof(body)), &r), 0);
	net_addr_format(&r.dest, true, text);
	check_str(text, "10.0.2.0/24");
	net_addr_format(&r.source, false, text);
	check_str(text, "10.0.2.15");
	check_int(r.table, RT_TABLE_MAIN);
	check_int(r.scope, RT_SCOPE_LINK);
	check_int(r.gateway.family, AF_UNSPEC);
	check_int(rtnl_parse_route(reader_init(wrong, sizeof(wrong)), &r), -EBADMSG);
}

TEST(addresses_as_text)
{
	static const char *const bad[] = {"",         "1.2.3",    "1.2.3.4/33",
	                                  "1.2.3.4/", "::1/129",  "1.2.3.4/-1",
	                                  "a",        "1.2.3.4 ", "1.2.3.4/+1"};
	struct net_addr a, net;
	char text[NET_ADDR_TEXT];
	uint8_t prefix;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		check_int(net_addr_parse(&a, bad[i]), -EINVAL);
	check_int(net_addr_parse(&a, "2001:db8::1"), 0);
	check_int(a.prefix, 128);
	check_int(net_addr_parse(&net, "2001:db8::/33"), 0);
	check(net_addr_in(&net, &a));
	check_int(net_addr_parse(&a, "2001:db8:8000::1"), 0);
	check(!net_addr_in(&net, &a));
	net_addr_format(&net, true, text);
	check_str(text, "2001:db8::/33");
	check_int(net_prefix_parse("255.255.252.0", AF_INET, &prefix), 0);
	check_int(prefix, 22);
	check_int(net_prefix_parse("0.0.0.0", AF_INET, &prefix), 0);
	check_int(prefix, 0);
	check_int(net_prefix_parse("255.0.255.0", AF_INET, &prefix), -EINVAL);
	check_int(net_prefix_parse("33", AF_INET, &prefix), -EINVAL);
}

TEST(hardware_addresses_and_names)
{
	static const char *const bad[] = {"",       "5",     "52:", "52:5",
	                                  "52:54:", "52-54", "5g",  "52::54"};
	struct net_mac m;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		check_int(net_mac_parse(&m, bad[i]), -EINVAL);
	check_int(net_mac_parse(&m, "52:54:00:aB:34:56"), 0);
	check_int(m.len, 6);
	check_int(m.bytes[3], 0xab);
	check(net_name_valid("eth0"));
	check(!net_name_valid(""));
	check(!net_name_valid(".."));
	check(!net_name_valid("a/b"));
	check(!net_name_valid("sixteen-bytes-xx"));
}

/* The examples of the kernel's nfsroot.txt, and what it would not take. */
TEST(ip_words)
{
	static const char *const bad[] = {"x",
	                                  "1.2.3",
	                                  "1.2.3.4:::255.0.255.0",
	                                  ":::::eth0:",
	                                  "1.2.3.4::::::::::::",
	                                  "1.2.3.4::::: e:"};
	struct ip_word w;
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		check(ip_word_parse(&w, bad[i], NULL) < 0);
	check_ok(ip_word_parse(
	             &w, "10.0.2.15::10.0.2.2:255.255.255.0:guest:eth1:off:10.0.2.3:9.9.9.9", &err),
	         &err);
	check(!w.dhcp);
	check_int(w.address.prefix, 24);
	check_str(w.device, "eth1");
	check_str(w.hostname, "guest");
	check_int(w.gateway.bytes[3], 2);
	check_int(w.n_dns, 2);
	check_ok(ip_word_parse(&w, "172.16.0.1", &err) < 0, &err);
	check_int(ip_word_parse(&w, "off", &err), 1);
	check_int(ip_word_parse(&w, ":::::eth0:off", &err), 1);
	check_ok(ip_word_parse(&w, "dhcp", &err), &err);
	check(w.dhcp);
	check_ok(ip_word_parse(&w, ":::::eth0:dhcp", &err), &err);
	check_str(w.device, "eth0");
	check_ok(ip_word_parse(&w, "172.16.0.1::::::", &err), &err);
	check_int(w.address.prefix, 16);
}

/* What the kernel makes of it; nothing here is our own reading of our own bytes but the lists,
 * and those tests/net.bats compares with ip(8). */
TEST(kernel_takes_requests)
{
	_cleanup_netlink_ struct netlink *nl = NULL;
	struct net_interface *v = NULL;
	struct net_route_info *routes = NULL;
	struct error err = ERROR_INIT;
	struct net_ip_text ips[] = {{false, "10.9.8.7", "24"}, {true, "2001:db8::7", "64"}};
	struct net_interface_request want = {
	    .name = "lo", .addresses = ips, .n_addresses = 2, .mtu = 1400};
	struct net_route_request route = {.dest = "10.1.0.0/16", .device = "lo", .scope = 253};
	struct net_interface_request none = {.name = "nope0"};
	size_t n;

	if (unshare(CLONE_NEWNET) < 0)
		check_skip("unshare: %s", strerror(errno));
	check_ok(netlink_new(&nl, &err), &err);
	check_ok(net_interface_update(nl, &want, &err), &err);
	check_ok(net_routes_update(nl, &route, 1, &err), &err);
	check_ok(net_routes_update(nl, &route, 1, &err), &err); /* again: already there */
	check_ok(net_interfaces_list(nl, &v, &n, &err), &err);
	check(n >= 1);
	check_str(v[0].name, "lo");
	check_int(v[0].mtu, 1400);
	check(v[0].raw_flags & IFF_UP);
	net_interfaces_free(v, n);
	check_ok(net_routes_list(nl, &routes, &n, &err), &err);
	check(n >= 1);
	free(routes);
	check_int(net_interface_update(nl, &none, &err), -ENODEV);
	check(strstr(err.text, "nope0") != NULL);
	route.gateway = "10.200.0.1";
	route.scope = 0;
	check(net_routes_update(nl, &route, 1, &err) < 0);
}

TEST_MAIN()
