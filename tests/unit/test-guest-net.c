/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's network as the command line says it: what is taken, what is refused, what the guest is
 * told; and a tap interface, in a network of its own. */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "check.h"
#include "host-shim/hypervisor/guest_net.h"
#include "lib/base/cleanup.h"
#include "lib/guestimg/boot_words.h"

static struct guest_net n;
static struct error err = ERROR_INIT;

static void word_is(const struct guest_net_words *w, const char *want)
{
	char word[GUEST_NET_WORD_MAX];

	error_clear(&err);
	check_ok(guest_net_parse(&n, w, &err), &err);
	guest_net_word(&n, word);
	check_str(word, want);
}

#define WORDS(...) (&(struct guest_net_words){__VA_ARGS__})

TEST(what_a_guest_that_boots_is_told)
{
	word_is(WORDS(NULL), BOOT_WORDS_NET_USER);
	check_int(n.kind, GUEST_NET_USER);
	word_is(WORDS("user"), BOOT_WORDS_NET_USER);
	word_is(WORDS("none"), "");
	check_int(n.kind, GUEST_NET_NONE);
	word_is(WORDS("tap=t0"), "ip=:::::eth0:dhcp");
	check_int(n.kind, GUEST_NET_TAP);
	check_str(n.tap, "t0");
	word_is(WORDS("tap=t0", .ip = "dhcp"), "ip=:::::eth0:dhcp");
	word_is(WORDS("tap=t0", .ip = "none"), "");
	word_is(WORDS("tap=a-name-of-15-by", .ip = "192.0.2.5/24"),
	        "ip=192.0.2.5:::255.255.255.0::eth0:off");
	word_is(WORDS("tap=t0", .ip = "10.1.2.3/9", .gateway = "10.1.2.1", .dns = "9.9.9.9"),
	        "ip=10.1.2.3::10.1.2.1:255.128.0.0::eth0:off:9.9.9.9");
	word_is(WORDS("tap=t0", .ip = "10.1.2.3/32", .dns = "9.9.9.9"),
	        "ip=10.1.2.3:::255.255.255.255::eth0:off:9.9.9.9");
	word_is(WORDS("tap=t0", .ip = "255.255.255.254/1", .gateway = "255.255.255.253",
	              .dns = "255.255.255.252"),
	        "ip=255.255.255.254::255.255.255.253:128.0.0.0::eth0:off:255.255.255.252");
}

TEST(hardware_addresses)
{
	char one[GUEST_NET_MAC_TEXT], two[GUEST_NET_MAC_TEXT];

	word_is(WORDS("user"), BOOT_WORDS_NET_USER);
	guest_net_mac(&n, one);
	check_str(one, "52:54:00:12:34:56"); /* what QEMU gives one that it is not told */
	word_is(WORDS("tap=t0", .ip = "none", .mac = "02:aB:cD:00:00:0f"), "");
	guest_net_mac(&n, one);
	check_str(one, "02:ab:cd:00:00:0f");
	word_is(WORDS("tap=t0", .ip = "none"), "");
	guest_net_mac(&n, one);
	word_is(WORDS("tap=t0", .ip = "none"), "");
	guest_net_mac(&n, two);
	check(strncmp(one, "52:54:00:", 9) == 0 && strcmp(one, two) != 0);
}

static void refused(const struct guest_net_words *w, const char *why)
{
	error_clear(&err);
	check_int(guest_net_parse(&n, w, &err), -EINVAL);
	check_int(err.kind, ERROR_USAGE);
	if (!strstr(err.text, why))
		check_str(err.text, why);
	check(!strchr(err.text, '\n'));
}

TEST(what_is_refused)
{
	static const char *const names[] = {
	    "tap=", "tap=sixteen-letters-", "tap=a/b", "tap=.", "tap=a b", "tap=..", "tap=a:1"};
	static const char *const ips[] = {
	    "192.0.2.5",  "192.0.2.5/", "192.0.2.5/0", "192.0.2.5/33",  "192.0.2.5/x",
	    "192.0.2/24", "/24",        "0.0.0.0/8",   "::1/64",        "192.0.2.5/-1",
	    "",           "static",     "1.2.3.4 /24", "1.2.3.4:5:6/8", "1.2.3.4/8 x"};
	static const char *const macs[] = {"",
	                                   "52:54:00:12:34",
	                                   "52:54:00:12:34:5",
	                                   "52:54:00:12:34:56:",
	                                   "52:54:00:12:34:5g",
	                                   " 2:54:00:12:34:56",
	                                   "+2:54:00:12:34:56",
	                                   "0x:54:00:12:34:56",
	                                   "525400123456",
	                                   "01:54:00:12:34:56"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		refused(WORDS(names[i]), "not the name of an interface");
	for (size_t i = 0; i < sizeof(ips) / sizeof(ips[0]); i++)
		refused(WORDS("tap=t0", .ip = ips[i]), "IPv4 address");
	for (size_t i = 0; i < sizeof(macs) / sizeof(macs[0]); i++)
		refused(WORDS("tap=t0", .mac = macs[i]), "address");
	refused(WORDS("other"), "user, none and tap=INTERFACE");
	refused(WORDS("tap"), "user, none and tap=INTERFACE");
	refused(WORDS(.ip = "192.0.2.5/24"), "--ip goes with --net tap");
	refused(WORDS("none", .gateway = "192.0.2.1"), "--gateway goes with --net tap");
	refused(WORDS("user", .dns = "192.0.2.1"), "--dns goes with --net tap");
	refused(WORDS("none", .mac = "52:54:00:12:34:56"), "--mac goes with a network");
	refused(WORDS("tap=t0", .gateway = "192.0.2.1"), "--gateway goes with an address");
	refused(WORDS("tap=t0", .ip = "none", .dns = "192.0.2.1"), "--dns goes with an address");
	refused(WORDS("tap=t0", .ip = "192.0.2.5/24", .gateway = "x"), "--gateway x: not an IPv4");
	refused(WORDS("tap=t0", .ip = "192.0.2.5/24", .dns = "2001:db8::1"), "not an IPv4");
}

/* A tap interface that stays, as a user would have made it. */
static void make_tap(const char *name, int flags, int mtu)
{
	struct ifreq ifr = {.ifr_flags = (short)(flags | IFF_NO_PI)};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), s;

	strcpy(ifr.ifr_name, name);
	check(ioctl(fd, TUNSETIFF, &ifr) == 0 && ioctl(fd, TUNSETPERSIST, 1) == 0);
	close(fd);
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ifr.ifr_mtu = mtu;
	check(s >= 0 && (!mtu || ioctl(s, SIOCSIFMTU, &ifr) == 0));
	close(s);
}

static void opens_not(const char *net, int code, const char *why)
{
	int fd = 0;

	error_clear(&err);
	check_ok(guest_net_parse(&n, WORDS(net, .ip = "none"), &err), &err);
	check_int(guest_net_open(&n, &fd, &err), code);
	check_int(fd, -1);
	if (!strstr(err.text, why))
		check_str(err.text, why);
}

TEST(tap_interfaces_are_there_and_free)
{
	int fd = -1, tun;

	if (unshare(CLONE_NEWNET) < 0 || (tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC)) < 0)
		check_skip("no tap interfaces here: %s", strerror(errno));
	close(tun);
	opens_not("tap=none0", -ENODEV, "there is no interface none0: make it");
	check_int(if_nametoindex("none0"), 0); /* nor is there one now */
	opens_not("tap=lo", -EINVAL, "no tap interface");
	make_tap("tun0", IFF_TUN, 0);
	opens_not("tap=tun0", -EINVAL, "no tap interface");
	make_tap("t0", IFF_TAP, 1400);
	check_ok(guest_net_parse(&n, WORDS("tap=t0", .ip = "none"), &err), &err);
	check_ok(guest_net_open(&n, &fd, &err), &err);
	check(fd >= 0);
	check_int(n.mtu, 1400);
	opens_not("tap=t0", -EBUSY, "another program has it");
	close(fd);
	check_ok(guest_net_open(&n, &fd, &err), &err); /* it stays */
	close(fd);
	check_ok(guest_net_parse(&n, WORDS("user"), &err), &err);
	check_ok(guest_net_open(&n, &fd, &err), &err);
	check_int(fd, -1);
}

TEST_MAIN()
