/* SPDX-License-Identifier: Apache-2.0 */
/* net_types: addresses to text and back, strictly. */
#include "net_types.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

size_t net_addr_len(uint8_t family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

int net_addr_parse(struct net_addr *out, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	struct net_addr a = {.family = AF_INET};
	char host[INET6_ADDRSTRLEN];

	if (n >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	if (strchr(host, ':'))
		a.family = AF_INET6;
	if (inet_pton(a.family, host, a.bytes) != 1)
		return -EINVAL;
	a.prefix = (uint8_t)(net_addr_len(a.family) * 8);
	if (slash) {
		uint32_t prefix;

		if (parse_u32(slash + 1, &prefix) < 0 || prefix > a.prefix)
			return -EINVAL;
		a.prefix = (uint8_t)prefix;
	}
	*out = a;
	return 0;
}

void net_addr_format(const struct net_addr *a, bool with_prefix, char *out)
{
	size_t n;

	if (!inet_ntop(a->family, a->bytes, out, NET_ADDR_TEXT)) {
		*out = '\0';
		return;
	}
	n = strlen(out);
	if (with_prefix)
		(void)snprintf(out + n, NET_ADDR_TEXT - n, "/%u", a->prefix);
}

bool net_addr_in(const struct net_addr *net, const struct net_addr *a)
{
	size_t whole = net->prefix / 8;
	unsigned int rest = net->prefix % 8;

	if (net->family != a->family || memcmp(net->bytes, a->bytes, whole) != 0)
		return false;
	return rest == 0 || (net->bytes[whole] ^ a->bytes[whole]) >> (8 - rest) == 0;
}

int net_prefix_parse(const char *text, uint8_t family, uint8_t *prefix)
{
	uint32_t bits, mask;
	struct in_addr dotted;

	if (parse_u32(text, &bits) == 0) {
		if (bits > net_addr_len(family) * 8)
			return -EINVAL;
		*prefix = (uint8_t)bits;
		return 0;
	}
	if (family != AF_INET || inet_pton(AF_INET, text, &dotted) != 1)
		return -EINVAL;
	mask = ntohl(dotted.s_addr);
	bits = mask ? (uint32_t)__builtin_popcount(mask) : 0;
	/* Contiguous: as many leading ones as ones. */
	if (bits && mask != UINT32_MAX << (32 - bits))
		return -EINVAL;
	*prefix = (uint8_t)bits;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int net_mac_parse(struct net_mac *out, const char *text)
{
	struct net_mac m = {.len = 0};

	for (;;) {
		int hi = hex_digit(text[0]), lo = hi < 0 ? -1 : hex_digit(text[1]);

		if (lo < 0 || m.len == NET_MAC_MAX)
			return -EINVAL;
		m.bytes[m.len++] = (uint8_t)(hi << 4 | lo);
		if (text[2] == '\0')
			break;
		if (text[2] != ':')
			return -EINVAL;
		text += 3;
	}
	*out = m;
	return 0;
}

void net_mac_format(const struct net_mac *m, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < m->len && i < NET_MAC_MAX; i++) {
		if (i)
			*out++ = ':';
		*out++ = digits[m->bytes[i] >> 4];
		*out++ = digits[m->bytes[i] & 15];
	}
	*out = '\0';
}

bool net_mac_equal(const struct net_mac *a, const struct net_mac *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* dev_valid_name() of the kernel. */
bool net_name_valid(const char *name)
{
	size_t n = strnlen(name, IFNAMSIZ);

	if (n == 0 || n >= IFNAMSIZ || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	return name[strcspn(name, "/: \t\n\v\f\r")] == '\0';
}
