/* SPDX-License-Identifier: Apache-2.0 */
/* guest_net: which network a guest is given. */
#include "guest_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-shim/vmm/devices/net_backend.h"
#include "lib/base/cleanup.h"
#include "lib/base/str.h"

/* virtio 1.2 §5.1.4.1: a device must not offer less; nor does IPv4 work with less. */
#define MTU_MIN 68

static int bad(struct error *err, const char *option, const char *text, const char *what)
{
	return error_set_kind(err, ERROR_USAGE, EINVAL, "%s %s: %s", option, text, what);
}

/* What QEMU gives an interface, too, unless it is told otherwise. */
static const uint8_t alone[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

/* ---- words */

static int parse_address(char out[INET_ADDRSTRLEN], const char *option, const char *text,
                         struct error *err)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1 || a.s_addr == 0)
		return bad(err, option, text, "not an IPv4 address");
	inet_ntop(AF_INET, &a, out, INET_ADDRSTRLEN);
	return 0;
}

/* "ADDRESS/PREFIX" */
static int parse_ip(struct guest_net *n, const char *text, struct error *err)
{
	const char *slash = strchr(text, '/');
	char address[INET_ADDRSTRLEN];
	uint32_t prefix;

	if (!slash || (size_t)(slash - text) >= sizeof(address) ||
	    parse_u32(slash + 1, &prefix) < 0 || prefix < 1 || prefix > 32)
		return bad(err, "--ip", text,
		           "an IPv4 address and the length of its prefix are wanted, "
		           "as in --ip 192.0.2.5/24; or dhcp, or none");
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	n->prefix = (uint8_t)prefix;
	return parse_address(n->address, "--ip", address, err);
}

/* Of one station: the first byte's lowest bit says that it is a group's (IEEE 802.3 §3.2.3). */
static int parse_mac(uint8_t mac[6], const char *text, struct error *err)
{
	int end = 0, n = sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1],
	                        &mac[2], &mac[3], &mac[4], &mac[5], &end);

	if (n != 6 || end != GUEST_NET_MAC_TEXT - 1 || text[end] ||
	    text[strspn(text, "0123456789abcdefABCDEF:")])
		return bad(err, "--mac", text,
		           "not a hardware address, as 52:54:00:12:34:56 is one");
	if (mac[0] & 1)
		return bad(err, "--mac", text, "the address of a group, not of an interface");
	return 0;
}

static int parse_tap(struct guest_net *n, const char *name, struct error *err)
{
	size_t size = strlen(name);

	/* What the kernel takes as a name (dev_valid_name()). */
	if (size == 0 || size >= sizeof(n->tap) || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0 || name[strcspn(name, "/: \t\n\v\f\r")])
		return bad(err, "--net tap", name, "not the name of an interface");
	memcpy(n->tap, name, size + 1);
	return 0;
}

static int draw_mac(uint8_t mac[6], struct error *err)
{
	memcpy(mac, alone, 3);
	if (getrandom(mac + 3, 3, 0) != 3)
		return error_errno(err, errno, "drawing a hardware address");
	return 0;
}

static int tap_addresses(struct guest_net *n, const struct guest_net_words *w, struct error *err)
{
	bool none = w->ip && strcmp(w->ip, "none") == 0;
	int r = 0;

	n->dhcp = !w->ip || strcmp(w->ip, "dhcp") == 0;
	if (n->dhcp || none) {
		if (w->gateway || w->dns)
			return error_set_kind(err, ERROR_USAGE, EINVAL,
			                      "%s goes with an address: --ip ADDRESS/PREFIX",
			                      w->gateway ? "--gateway" : "--dns");
		return 0;
	}
	r = parse_ip(n, w->ip, err);
	if (r == 0 && w->gateway)
		r = parse_address(n->gateway, "--gateway", w->gateway, err);
	if (r == 0 && w->dns)
		r = parse_address(n->dns, "--dns", w->dns, err);
	return r;
}

/* What passt and QEMU are told, too: BOOT_WORDS_NET_USER. */
static void user_addresses(struct guest_net *n)
{
	strcpy(n->address, "10.0.2.15");
	strcpy(n->gateway, "10.0.2.2");
	strcpy(n->dns, "10.0.2.3");
	n->prefix = 24;
}

static int parse_kind(struct guest_net *n, const char *net, struct error *err)
{
	if (!net || strcmp(net, "user") == 0) {
		n->kind = GUEST_NET_USER;
		return 0;
	}
	if (strcmp(net, "none") == 0)
		return 0;
	if (!str_starts(net, "tap="))
		return bad(err, "--net", net, "there are user, none and tap=INTERFACE");
	n->kind = GUEST_NET_TAP;
	return parse_tap(n, net + 4, err);
}

int guest_net_parse(struct guest_net *n, const struct guest_net_words *w, struct error *err)
{
	const char *addressed = w->ip ? "--ip" : w->gateway ? "--gateway" : w->dns ? "--dns" : NULL;
	int r;

	memset(n, 0, sizeof(*n));
	r = parse_kind(n, w->net, err);
	if (r < 0)
		return r;
	if (n->kind != GUEST_NET_TAP && addressed)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "%s goes with --net tap=INTERFACE",
		                      addressed);
	if (n->kind == GUEST_NET_NONE && w->mac)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "--mac goes with a network");
	memcpy(n->mac, alone, sizeof(n->mac));
	if (w->mac)
		r = parse_mac(n->mac, w->mac, err);
	else if (n->kind == GUEST_NET_TAP)
		r = draw_mac(n->mac, err);
	if (r == 0 && n->kind == GUEST_NET_TAP)
		r = tap_addresses(n, w, err);
	if (n->kind == GUEST_NET_USER)
		user_addresses(n);
	return r;
}

/* ---- what is said of it */

void guest_net_word(const struct guest_net *n, char word[GUEST_NET_WORD_MAX])
{
	struct in_addr mask = {.s_addr = htonl(n->prefix ? UINT32_MAX << (32 - n->prefix) : 0)};
	char text[INET_ADDRSTRLEN];

	*word = '\0';
	if (n->dhcp)
		strcpy(word, "ip=:::::eth0:dhcp");
	else if (n->address[0])
		snprintf(word, GUEST_NET_WORD_MAX, "ip=%s::%s:%s::eth0:off%s%s", n->address,
		         n->gateway, inet_ntop(AF_INET, &mask, text, sizeof(text)),
		         n->dns[0] ? ":" : "", n->dns);
}

void guest_net_mac(const struct guest_net *n, char text[GUEST_NET_MAC_TEXT])
{
	snprintf(text, GUEST_NET_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", n->mac[0], n->mac[1],
	         n->mac[2], n->mac[3], n->mac[4], n->mac[5]);
}

/* ---- this host's side */

static int find_mtu(struct guest_net *n, struct error *err)
{
	_cleanup_close_ int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {0};

	memcpy(ifr.ifr_name, n->tap, sizeof(ifr.ifr_name));
	if (s < 0 || ioctl(s, SIOCGIFMTU, &ifr) < 0)
		return error_errno(err, errno, "the MTU of tap interface %s", n->tap);
	if (ifr.ifr_mtu >= MTU_MIN && ifr.ifr_mtu <= UINT16_MAX)
		n->mtu = (uint16_t)ifr.ifr_mtu;
	return 0;
}

int guest_net_open(struct guest_net *n, int *fd, struct error *err)
{
	_cleanup_close_ int tap = -1;
	int r = 0;

	*fd = -1;
	if (n->kind != GUEST_NET_TAP)
		return 0;
	/* Opening would make one that ends with the guest, if it may, and that nobody has set up.
	 */
	if (if_nametoindex(n->tap) == 0)
		return error_set_kind(
		    err, ERROR_INPUT, ENODEV,
		    "there is no interface %s: make it with 'ip tuntap add %s mode "
		    "tap user USER', give it an address or a bridge, and set it up",
		    n->tap, n->tap);
	tap = net_tap_open(n->tap, err);
	if (tap == -EBUSY)
		return error_hint(err, tap, "another program has it");
	if (tap == -EINVAL)
		return error_hint(err, tap, "it is no tap interface with one queue");
	if (tap == -EPERM)
		return error_hint(err, tap, "it is not this user's");
	if (tap < 0)
		return tap;
	if (n->mtu == 0)
		r = find_mtu(n, err);
	if (r == 0)
		*fd = steal_fd(&tap);
	return r;
}
