/* SPDX-License-Identifier: Apache-2.0 */
/* test-dhcp: messages as bytes: what the client sends, field by field, and what a server, honest or
 * not, may answer. */
#include <arpa/inet.h>

#include "check.h"
#include "guest/agent/net/dhcp_message.h"

/* A reply put together byte by byte: the fixed part of RFC 2131 figure 1, then options. */
struct reply {
	uint8_t data[1500];
	size_t size;
};

static void start(struct reply *r, const char *yiaddr)
{
	static const uint8_t mac[] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
	static const uint8_t cookie[] = {99, 130, 83, 99};
	struct in_addr a;

	memset(r, 0, sizeof(*r));
	r->data[0] = 2; /* BOOTREPLY */
	r->data[1] = 1;
	r->data[2] = 6;
	memcpy(r->data + 4, "\x11\x22\x33\x44", 4);
	check(inet_pton(AF_INET, yiaddr, &a) == 1);
	memcpy(r->data + 16, &a, 4);
	memcpy(r->data + 28, mac, 6);
	memcpy(r->data + 236, cookie, 4);
	r->size = 240;
}

static void put(struct reply *r, const char *bytes, size_t n)
{
	memcpy(r->data + r->size, bytes, n);
	r->size += n;
}
#define PUT(r, bytes) put((r), (bytes), sizeof(bytes) - 1)

#define TYPE_ACK   "\x35\x01\x05"
#define TYPE_OFFER "\x35\x01\x02"
#define SERVER     "\x36\x04\x0a\x00\x02\x02"
#define MASK24     "\x01\x04\xff\xff\xff\x00"
#define LEASE_DAY  "\x33\x04\x00\x01\x51\x80"
#define END        "\xff"

static uint32_t ip(const char *text)
{
	struct in_addr a;

	check(inet_pton(AF_INET, text, &a) == 1);
	return a.s_addr;
}

static int parse(struct dhcp_reply *out, const struct reply *r)
{
	struct error err = ERROR_INIT;
	/* In memory of exactly that size, so that ASAN=1 sees a byte too far. */
	uint8_t *copy = malloc(r->size ? r->size : 1);
	int result;

	memcpy(copy, r->data, r->size);
	result = dhcp_parse(out, copy, r->size, &err);
	free(copy);
	check(result >= 0 || err.text[0]);
	return result;
}

TEST(discover_bytes)
{
	static const uint8_t options[] = {
	    99,   130,  83, 99, 53,   1,    1,  61, 7,   1,   0x52, 0x54, 0,   0x12,
	    0x34, 0x56, 57, 2,  0x05, 0xdc, 55, 10, 1,   121, 3,    6,    15,  26,
	    51,   54,   58, 59, 80,   0,    12, 5,  'g', 'u', 'e',  's',  't', 255};
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct dhcp_request rq = {.type = DHCP_DISCOVER,
	                          .xid = 0x11223344,
	                          .secs = 3,
	                          .mac = {0x52, 0x54, 0, 0x12, 0x34, 0x56},
	                          .rapid_commit = true,
	                          .hostname = "guest"};

	dhcp_build(&b, &rq);
	check(!b.failed);
	check_int(b.size, 300);
	check_mem(b.data, "\x01\x01\x06\x00\x11\x22\x33\x44\x00\x03\x80\x00\0\0\0\0", 16);
	check_mem(b.data + 28, rq.mac, 6);
	check_mem(b.data + 236, options, sizeof(options));
}

TEST(renewal_bytes)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct dhcp_request rq = {.type = DHCP_REQUEST, .ciaddr = ip("10.0.2.15")};

	dhcp_build(&b, &rq);
	/* Unicast answers are heard, the address is ours: no broadcast flag (RFC 2131 4.3.6). */
	check_mem(b.data + 10, "\0\0\x0a\0\x02\x0f", 6);
	check_mem(b.data + 240, "\x35\x01\x03\x3d", 4);
	/* Options 50 and 54 must not be in a renewal. */
	for (size_t i = 240; b.data[i] != 255; i += 2u + b.data[i + 1])
		check(b.data[i] != 50 && b.data[i] != 54);
}

TEST(ordinary_ack)
{
	struct dhcp_reply out;
	struct reply r;

	start(&r, "10.0.2.15");
	PUT(&r, TYPE_ACK SERVER MASK24 LEASE_DAY "\x03\x04\x0a\x00\x02\x02"
	                                         "\x06\x08\x0a\x00\x02\x03\x09\x09\x09\x09"
	                                         "\x0f\x0b"
	                                         "example.org"
	                                         "\x1a\x02\x05\x78" END);
	check_int(parse(&out, &r), 0);
	check_int(out.type, DHCP_ACK);
	check_int(out.xid, 0x11223344);
	check_int(out.lease.address, ip("10.0.2.15"));
	check_int(out.lease.prefix, 24);
	check_int(out.lease.server, ip("10.0.2.2"));
	check_int(out.lease.lease_s, 86400);
	check_int(out.lease.renew_s, 43200);
	check_int(out.lease.rebind_s, 75600);
	check_int(out.lease.n_routes, 1);
	check_int(out.lease.routes[0].gateway, ip("10.0.2.2"));
	check_int(out.lease.routes[0].prefix, 0);
	check_int(out.lease.n_dns, 2);
	check_int(out.lease.dns[1], ip("9.9.9.9"));
	check_str(out.lease.domain, "example.org");
	check_int(out.lease.mtu, 1400);
	check(!out.rapid_commit);
}

/* The example of RFC 3442, and the router option that must then be ignored. */
TEST(classless_routes)
{
	struct dhcp_reply out;
	struct reply r;

	start(&r, "10.0.2.15");
	PUT(&r, TYPE_ACK SERVER MASK24
	    "\x03\x04\x0a\x00\x02\x63"
	    "\x50\x00"
	    "\x79\x0a\x00\x0a\x00\x02\x02\x11\x0a\xe5\x00\x80"); /* RFC 3396: cut in two */
	PUT(&r, "\x79\x0c\x0a\x00\x02\x03\x20\xa9\xfe\xa9\xfe\x00\x00\x00");
	PUT(&r, END);
	check_int(parse(&out, &r), -EBADMSG); /* one byte of the last gateway is missing */

	start(&r, "10.0.2.15");
	PUT(&r, TYPE_ACK SERVER MASK24 "\x03\x04\x0a\x00\x02\x63"
	                               "\x50\x00"
	                               "\x79\x09\x00\x0a\x00\x02\x02\x11\x0a\xe5\xff");
	PUT(&r, "\x79\x0d\x0a\x00\x02\x03\x20\xa9\xfe\xa9\xfe\x00\x00\x00\x00" END);
	check_int(parse(&out, &r), 0);
	check(out.rapid_commit);
	check_int(out.lease.n_routes, 3);
	check_int(out.lease.routes[0].prefix, 0);
	check_int(out.lease.routes[0].gateway, ip("10.0.2.2"));
	check_int(out.lease.routes[1].prefix, 17);
	check_int(out.lease.routes[1].dest, ip("10.229.128.0")); /* host bits taken off */
	check_int(out.lease.routes[1].gateway, ip("10.0.2.3"));
	check_int(out.lease.routes[2].prefix, 32);
	check_int(out.lease.routes[2].gateway, 0);
}

TEST(overloaded_fields)
{
	struct dhcp_reply out;
	struct reply r;

	start(&r, "10.0.2.15");
	PUT(&r, TYPE_ACK SERVER "\x34\x01\x03" END);
	memcpy(r.data + 108, MASK24 END, sizeof(MASK24 END) - 1); /* file */
	memcpy(r.data + 44, LEASE_DAY "\x34\x01\x03" END, sizeof(LEASE_DAY "\x34\x01\x03" END) - 1);
	check_int(parse(&out, &r), 0);
	check_int(out.lease.prefix, 24);
	check_int(out.lease.lease_s, 86400);
	/* An option that runs out of the sname field into the next. */
	r.data[44 + 58] = 0;
	memset(r.data + 44, 0, 64);
	memcpy(r.data + 44 + 60,
	       "\x0f\x20"
	       "ab",
	       4);
	check_int(parse(&out, &r), -EBADMSG);
}

TEST(hostile_values)
{
	struct dhcp_reply out;
	struct reply r;

	/* A newline in the domain would be a line of resolv.conf. */
	start(&r, "10.0.2.15");
	PUT(&r, TYPE_ACK SERVER MASK24 "\x0f\x0c"
	                               "a\nnameserver" END);
	check_int(parse(&out, &r), 0);
	check_str(out.lease.domain, "");

	/* A lease of nothing would have the client ask without end; T1 > T2 > lease. */
	start(&r, "10.0.2.15");
	PUT(&r, TYPE_ACK SERVER MASK24 "\x33\x04\0\0\0\0"
	                               "\x3a\x04\xff\0\0\0"
	                               "\x3b\x04\0\0\0\x01" END);
	check_int(parse(&out, &r), 0);
	check_int(out.lease.lease_s, DHCP_MIN_LEASE_S);
	check(out.lease.renew_s >= 15);
	check(out.lease.renew_s < out.lease.rebind_s);
	check(out.lease.rebind_s < out.lease.lease_s);

	/* An MTU that would starve the link is not taken. */
	start(&r, "10.0.2.15");
	PUT(&r, TYPE_ACK SERVER MASK24 "\x1a\x02\x00\x01" END);
	check_int(parse(&out, &r), 0);
	check_int(out.lease.mtu, 0);

	static const char *const no_host[] = {"0.0.0.0", "127.0.0.1", "224.0.0.1",
	                                      "255.255.255.255"};

	for (size_t i = 0; i < 4; i++) {
		start(&r, no_host[i]);
		PUT(&r, TYPE_OFFER SERVER MASK24 END);
		check_int(parse(&out, &r), -EBADMSG);
	}
	start(&r, "10.0.2.15");
	PUT(&r, TYPE_OFFER SERVER "\x01\x04\xff\x00\xff\x00" END);
	check_int(parse(&out, &r), -EBADMSG);
}

TEST(not_for_us)
{
	struct dhcp_reply out;
	struct reply r;

	start(&r, "10.0.2.15");
	check_int(parse(&out, &r), 1); /* no type: BOOTP */
	r.size = 239;
	check_int(parse(&out, &r), 1);
	r.size = 0;
	check_int(parse(&out, &r), 1);
	start(&r, "10.0.2.15");
	PUT(&r, "\x35\x01\x01" END); /* a DISCOVER of somebody else's */
	check_int(parse(&out, &r), 1);
	start(&r, "10.0.2.15");
	PUT(&r, TYPE_ACK END);
	r.data[0] = 1;
	check_int(parse(&out, &r), 1);
	start(&r, "10.0.2.15");
	PUT(&r, TYPE_ACK END);
	r.data[236] = 0;
	check_int(parse(&out, &r), 1);
	start(&r, "0.0.0.0");
	PUT(&r, "\x35\x01\x06" END);
	check_int(parse(&out, &r), 0);
	check_int(out.type, DHCP_NAK);
}

TEST(truncated_anywhere)
{
	struct dhcp_reply out;
	struct reply r;
	size_t full;

	start(&r, "10.0.2.15");
	PUT(&r, TYPE_ACK SERVER MASK24 LEASE_DAY "\x79\x05\x00\x0a\x00\x02\x02" END);
	full = r.size;
	for (r.size = 0; r.size < full; r.size++)
		(void)parse(&out, &r);
	check_int(parse(&out, &r), 0);
}

TEST_MAIN()
