/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of the network device on plain memory, by clause of virtio 1.2 §5.1; its back ends
 * against a socket's other end and against the kernel's tap interface. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "vmm_net.h"

/* ---- a back end that remembers */

struct fake {
	struct net_backend backend;
	uint64_t features;
	uint8_t header[NET_HEADER_SIZE], sent[NET_FRAME_MAX];
	size_t size;
	unsigned int count;
	struct net_frame next;
	bool has_next;
};

static struct fake fake;

static void fake_features(struct net_backend *backend, uint64_t features)
{
	fake.features = features;
}

static int fake_receive(struct net_backend *backend, struct net_frame *f)
{
	if (!fake.has_next)
		return 0;
	fake.has_next = false;
	*f = fake.next;
	return 1;
}

static int fake_send(struct net_backend *backend, const uint8_t header[NET_HEADER_SIZE],
                     const struct iovec *iov, size_t n)
{
	memcpy(fake.header, header, NET_HEADER_SIZE);
	fake.size = 0;
	for (size_t i = 0; i < n; i++) {
		memcpy(fake.sent + fake.size, iov[i].iov_base, iov[i].iov_len);
		fake.size += iov[i].iov_len;
	}
	fake.count++;
	return 0;
}

static int fake_flush(struct net_backend *backend)
{
	return 0;
}

static void fake_free(struct net_backend *backend)
{
}

static const struct net_backend_ops fake_ops = {
    .features = F(VIRTIO_NET_F_CSUM) | F(VIRTIO_NET_F_GUEST_CSUM) | F(VIRTIO_NET_F_HOST_TSO4) |
                F(VIRTIO_NET_F_HOST_TSO6) | F(VIRTIO_NET_F_GUEST_TSO4),
    .set_features = fake_features,
    .receive = fake_receive,
    .send = fake_send,
    .flush = fake_flush,
    .free = fake_free,
};

static void start_fake(uint64_t features)
{
	vbench_init(&b, 0);
	memset(&fake, 0, sizeof(fake));
	other_end = eventfd(0, EFD_CLOEXEC);
	fake.backend = (struct net_backend){&fake_ops, other_end};
	start_with(&fake.backend, 64, features);
}

TEST(s5_1_4_configuration)
{
	uint8_t c[16];

	start_stream(~0ull);
	virtio_device_config_read(b.dev, 0, c, sizeof(c));
	check_mem(c, "\2\0\0\0\0\7", 6);
	check_int(get_le16(c + 6), 1);
	check_int(get_le16(c + 8), 1);
	check_int(get_le16(c + 10), 1400);
	check_int(b.dev->ops->id, 1);
	/* A stream can do no offloads. */
	check(
	    !(virtio_device_features(b.dev) & (F(VIRTIO_NET_F_CSUM) | F(VIRTIO_NET_F_HOST_TSO4))));
	stop();
}

TEST(s5_1_6_2_transmit)
{
	uint8_t h[12] = {0};
	struct vbench_part p[] = {
	    {h, 5, false, 0}, {h, 7, false, 0}, {frame, 60, false, 0}, {frame + 60, 40, false, 0}};

	start_stream(~0ull);
	pattern(100);
	check_int(vbench_request(&b, NET_QUEUE_TX, p, 4), 0);
	memset(frame, 0, 100);
	check_int(read_stream(), 100);
	check_int(frame[99], (uint8_t)(99 * 7));
	stop();
}

TEST(s5_1_6_2_headers_are_held_to_what_was_negotiated)
{
	start_fake(~0ull);
	pattern(2000);
	transmit(0, 0, 0, 0, 0, 100);
	check_int(fake.count, 1);
	check_int(get_le16(fake.header + 10), 0); /* num_buffers means nothing here */
	transmit(VIRTIO_NET_HDR_F_NEEDS_CSUM | 0xfe, 0, 0, 34, 16, 100);
	check_int(fake.count, 2);
	check_int(fake.header[0], VIRTIO_NET_HDR_F_NEEDS_CSUM);
	transmit(1, VIRTIO_NET_HDR_GSO_TCPV4, 1400, 34, 16, 2000);
	check_int(fake.count, 3);
	check_int(fake.header[1], VIRTIO_NET_HDR_GSO_TCPV4);
	transmit(1, VIRTIO_NET_HDR_GSO_TCPV6, 1400, 34, 16, 2000);
	check_int(fake.count, 4);
	/* Not these: checksum beyond the frame, segments without size, checksum or negotiation. */
	transmit(1, 0, 0, 90, 9, 100);
	transmit(1, 0, 0, 0xffff, 0xffff, 100);
	transmit(1, VIRTIO_NET_HDR_GSO_TCPV4, 0, 34, 16, 2000);
	transmit(0, VIRTIO_NET_HDR_GSO_TCPV4, 1400, 34, 16, 2000);
	transmit(1, VIRTIO_NET_HDR_GSO_UDP, 1400, 34, 6, 2000);
	transmit(1, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, 1400, 34, 16, 2000);
	transmit(1, 99, 1400, 34, 16, 2000);
	check_int(fake.count, 4);
	stop();
	start_fake(F(VIRTIO_F_VERSION_1));
	check_int(fake.features & F(VIRTIO_NET_F_CSUM), 0);
	transmit(1, 0, 0, 34, 16, 100);
	transmit(1, VIRTIO_NET_HDR_GSO_TCPV4, 1400, 34, 16, 2000);
	check_int(fake.count, 0);
	transmit(0, 0, 0, 0, 0, 100);
	check_int(fake.count, 1);
	stop();
}

TEST(frames_too_short_or_too_long_are_lost)
{
	struct vbench_part p[] = {{frame, 11, false, 0}};

	start_fake(~0ull);
	check_int(vbench_request(&b, NET_QUEUE_TX, p, 1), 0);
	transmit(0, 0, 0, 0, 0, 13);
	transmit(0, 0, 0, 0, 0, NET_FRAME_MAX + 1);
	check_int(fake.count, 0);
	transmit(0, 0, 0, 0, 0, NET_FRAME_MAX);
	check_int(fake.count, 1);
	check_int(fake.size, NET_FRAME_MAX);
	check(!b.needs_reset);
	stop();
}

TEST(s5_1_6_4_receive)
{
	uint64_t gpa[4];
	uint32_t len;

	start_stream(F(VIRTIO_F_VERSION_1));
	offer_rx(2, 2000, gpa);
	pattern(100);
	write_stream(100, frame, 100);
	check(vbench_wait(&b, NET_QUEUE_RX, &len) >= 0);
	check_int(len, 112);
	check_int(get_le16(vbench_host(&b, gpa[0]) + 10),
	          1); /* num_buffers, also without merging */
	check_mem(vbench_host(&b, gpa[0]) + 12, frame, 100);
	/* Too large for one buffer: lost, the buffer is for the next one. */
	write_stream(3000, frame, 3000);
	write_stream(50, frame, 50);
	check(vbench_wait(&b, NET_QUEUE_RX, &len) >= 0);
	check_int(len, 62);
	check_mem(vbench_host(&b, gpa[1]) + 12, frame, 50);
	stop();
}

/* Mtu and Ethernet header, a VLAN tag included; longer ones are lost, and the next comes. */
TEST(s5_1_4_1_no_frame_is_longer_than_the_mtu)
{
	uint64_t gpa[4];
	uint32_t len;

	for (int vlan = 0; vlan < 2; vlan++) {
		uint32_t most = vlan ? 1418 : 1414;

		start_stream(F(VIRTIO_F_VERSION_1) | F(VIRTIO_NET_F_MTU));
		offer_rx(3, 2000, gpa);
		pattern(2000);
		memcpy(frame + 12, vlan ? "\x81\0" : "\x08\0", 2);
		write_stream(most + 1, frame, most + 1);
		write_stream(most, frame, most);
		check(vbench_wait(&b, NET_QUEUE_RX, &len) >= 0);
		check_int(len, most + 12);
		stop();
	}
	/* A driver that did not take the MTU has what comes. */
	start_stream(F(VIRTIO_F_VERSION_1));
	offer_rx(1, 2000, gpa);
	write_stream(1500, frame, 1500);
	check(vbench_wait(&b, NET_QUEUE_RX, &len) >= 0);
	check_int(len, 1512);
	stop();
}

/* Frames that were segmented for another driver, or by a back end that does not listen. */
TEST(s5_1_6_4_1_no_segmentation_that_was_not_negotiated)
{
	static const struct {
		uint64_t features;
		uint8_t gso;
		bool comes;
	} cases[] = {
	    {0, VIRTIO_NET_HDR_GSO_TCPV4, false},
	    {F(VIRTIO_NET_F_GUEST_CSUM), VIRTIO_NET_HDR_GSO_TCPV4, false},
	    {F(VIRTIO_NET_F_GUEST_TSO4), VIRTIO_NET_HDR_GSO_TCPV4, false},
	    {F(VIRTIO_NET_F_GUEST_CSUM) | F(VIRTIO_NET_F_GUEST_TSO4), VIRTIO_NET_HDR_GSO_TCPV4,
	     true},
	    {F(VIRTIO_NET_F_GUEST_CSUM) | F(VIRTIO_NET_F_GUEST_TSO4), VIRTIO_NET_HDR_GSO_TCPV6,
	     false},
	    {F(VIRTIO_NET_F_GUEST_CSUM) | F(VIRTIO_NET_F_GUEST_TSO4), VIRTIO_NET_HDR_GSO_UDP,
	     false},
	    {F(VIRTIO_NET_F_GUEST_CSUM), VIRTIO_NET_HDR_GSO_NONE, true},
	};
	uint64_t gpa[1];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start_fake(F(VIRTIO_F_VERSION_1) | F(VIRTIO_NET_F_MTU) | cases[i].features);
		fake.next = (struct net_frame){.data = frame, .size = 1000};
		fake.next.header[1] = cases[i].gso;
		fake.has_next = true;
		offer_rx(1, 2000, gpa);
		check_int(eventfd_write(fake.backend.fd, 1), 0);
		vbench_turn(&b, 10);
		check_int(vbench_used(&b, NET_QUEUE_RX), cases[i].comes);
		check(!fake.has_next);
		stop();
	}
}

TEST(s5_1_4_1_an_mtu_has_its_bounds)
{
	struct virtio_device *dev = NULL;
	struct net_config config = {&fake.backend, {2, 0, 0, 0, 0, 7}, 67};

	vbench_init(&b, 0);
	fake.backend = (struct net_backend){&fake_ops, -1};
	check_int(net_device_new(&dev, b.loop, &config, &err), -EINVAL);
	config.mtu = 68;
	check_ok(net_device_new(&b.dev, b.loop, &config, &err), &err);
	stop();
}

TEST(s5_1_4_2_link_goes_down_with_the_peer)
{
	start_stream(~0ull);
	check_int(link_status(), 1);
	close(ends[1]);
	ends[1] = -1;
	vbench_turn(&b, 10);
	check_int(link_status(), 0);
	check_int(b.config_changes, 1);
	transmit(0, 0, 0, 0, 0, 100); /* buffers still come back */
	stop();
}

TEST(length_that_cannot_be_is_the_end)
{
	start_stream(~0ull);
	write_stream(13, frame, 13);
	vbench_turn(&b, 10);
	check_int(link_status(), 0);
	stop();
	start_stream(~0ull);
	write_stream(0xffffffff, frame, 13);
	vbench_turn(&b, 10);
	check_int(link_status(), 0);
	stop();
}

/* The socket is full: frames wait in the queue, then all arrive, whole and in order. */
TEST(peer_that_is_slow)
{
	unsigned int sent = 0, got = 0;
	uint32_t len;

	start_stream(~0ull);
	for (unsigned int i = 0; i < 30; i++) {
		uint8_t h[12] = {0};
		struct vbench_part p[] = {{h, 12, false, 0}, {frame, 14000, false, 0}};

		memset(frame, (int)i, 14000);
		vbench_offer(&b, NET_QUEUE_TX, p, 2);
	}
	vbench_kick(&b, NET_QUEUE_TX);
	vbench_turn(&b, 5);
	while (vbench_used(&b, NET_QUEUE_TX) && vbench_wait(&b, NET_QUEUE_TX, &len) >= 0)
		sent++;
	check(sent < 30);
	for (; got < 30; got++) {
		check_int(read_stream(), 14000);
		check_int(frame[0], got);
		check_int(frame[13999], got);
		vbench_turn(&b, 2);
	}
	while (sent < 30 && vbench_wait(&b, NET_QUEUE_TX, &len) >= 0)
		sent++;
	check_int(sent, 30);
	stop();
}

/* ---- passt itself */

static pid_t start_passt(int fd)
{
	char number[12];
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	snprintf(number, sizeof(number), "%d", fd);
	fcntl(fd, F_SETFD, 0);
	execlp("passt", "passt", "-q", "-f", "-F", number, "--runas", "nobody", NULL);
	_exit(127);
}

static int wait_a_little(uint32_t *len)
{
	uint32_t id;

	vbench_turn(&b, 5);
	return driver_take(&b.ring[NET_QUEUE_RX], &id, len) ? (int)id : -1;
}

/* Who has 10.0.2.2? passt answers for every address but the guest's own. */
TEST(passt_answers)
{
	static const uint8_t arp[42] =
	    "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\7\x08\x06\0\1\x08\0\6\4\0\1"
	    "\2\0\0\0\0\7\12\0\2\17\0\0\0\0\0\0\12\0\2\2";
	uint64_t gpa[1];
	uint32_t len = 0;
	int status, got;
	pid_t pid;

	start_stream(~0ull);
	pid = start_passt(ends[1]);
	close(ends[1]);
	ends[1] = -1;
	memcpy(frame, arp, sizeof(arp));
	offer_rx(1, 2000, gpa);
	transmit(0, 0, 0, 0, 0, sizeof(arp));
	for (got = -1; got < 0 && link_status() == 1;)
		got = wait_a_little(&len);
	if (got >= 0) {
		check_int(len, 12 + 42);
		check_mem(vbench_host(&b, gpa[0]) + 12, "\2\0\0\0\0\7", 6);
		check_mem(vbench_host(&b, gpa[0]) + 12 + 12, "\x08\x06\0\1\x08\0\6\4\0\2", 10);
		check_mem(vbench_host(&b, gpa[0]) + 12 + 28, "\12\0\2\2", 4);
	}
	stop();
	check(waitpid(pid, &status, 0) == pid);
	if (got < 0)
		check_skip("passt does not run here: wait status 0x%x", status);
}

/* ---- the kernel's tap interface, in a network of its own */

static int open_tap(int flags)
{
	struct ifreq ifr = {.ifr_name = "kihontest0"};
	int fd, s;

	/* The interface is made in the network that opens the file. */
	if (unshare(CLONE_NEWNET) < 0 || (fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC)) < 0)
		check_skip("no tap interfaces here: %s", strerror(errno));
	ifr.ifr_flags = (short)flags;
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		check_skip("no tap interfaces here: %s", strerror(errno));
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ifr.ifr_flags = IFF_UP;
	check(s >= 0 && ioctl(s, SIOCSIFFLAGS, &ifr) == 0);
	close(s);
	return fd;
}

/* A TCP segment of 4000 bytes over IPv4, the checksum left to the device. */
static void tcp_frame(void)
{
	memset(frame, 0, 5000);
	memcpy(frame, "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\7\x08\0", 14);
	frame[14] = 0x45;
	frame[16] = (uint8_t)(4040 >> 8);
	frame[17] = (uint8_t)4040;
	frame[22] = 64;
	frame[23] = 6;
	memcpy(frame + 26, "\12\0\0\1\12\0\0\2", 8);
	frame[34 + 12] = 0x50;
}

TEST(tap_interface)
{
	int tap = open_tap(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	int raw = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
	                         .sll_ifindex = (int)if_nametoindex("kihontest0")};
	struct net_backend *backend;
	uint64_t gpa[8];
	uint32_t len;
	ssize_t n = 0;

	check(raw >= 0);
	vbench_init(&b, 0);
	check_ok(net_tap_new(&backend, tap, &err), &err);
	start_with(backend, 64, ~0ull);
	/* Out: a frame of an own type, then one that is cut into segments by the kernel. */
	pattern(100);
	memcpy(frame, "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\7\x88\xb5", 14);
	transmit(0, 0, 0, 0, 0, 100);
	for (int i = 0; i < 100 && n != 100; i++) {
		n = recv(raw, frame, sizeof(frame), 0);
		if (n == 100)
			check_mem(frame + 12, "\x88\xb5", 2);
		usleep(1000);
	}
	check_int(n, 100);
	tcp_frame();
	transmit(1, VIRTIO_NET_HDR_GSO_TCPV4, 1000, 34, 16, 14 + 4040);
	/* In. */
	offer_rx(4, 2000, gpa);
	memcpy(frame, "\2\0\0\0\0\7\2\0\0\0\0\1\x88\xb5hello", 19);
	check(sendto(raw, frame, 200, 0, (struct sockaddr *)&to, sizeof(to)) == 200);
	for (int i = 0; i < 4; i++) {
		check(vbench_wait(&b, NET_QUEUE_RX, &len) >= 0);
		if (len == 212 && memcmp(vbench_host(&b, gpa[i]) + 24, "\x88\xb5hello", 7) == 0)
			break;
		check(i < 3);
	}
	vbench_stop(&b);
	close(raw);
	close(tap);
}

TEST(tap_that_was_opened_otherwise)
{
	int tap = open_tap(IFF_TAP | IFF_NO_PI);
	struct net_backend *backend;

	check_int(net_tap_new(&backend, tap, &err), -EINVAL);
	check(strstr(err.text, "IFF_VNET_HDR"));
	close(tap);
	tap = open("/dev/null", O_RDWR | O_CLOEXEC);
	check(net_tap_new(&backend, tap, &err) < 0);
	check(net_stream_new(&backend, tap, &err) < 0);
	close(tap);
}

TEST_MAIN()
