/* SPDX-License-Identifier: Apache-2.0 */
/* net_tap: frames of a network device through a tap interface. */
#include "net_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"

/* Offloads go together with checksums left to the other side. */
#define FEATURES                                                                                   \
	(1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_GUEST_CSUM |                             \
	 1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_GUEST_TSO6 |                       \
	 1ull << VIRTIO_NET_F_HOST_TSO4 | 1ull << VIRTIO_NET_F_HOST_TSO6)

struct tap {
	struct net_backend backend;
	uint8_t frame[NET_HEADER_SIZE + NET_FRAME_MAX];
};

static void set_features(struct net_backend *b, uint64_t features)
{
	unsigned int offload = 0;

	if (features >> VIRTIO_NET_F_GUEST_CSUM & 1) {
		offload |= TUN_F_CSUM;
		if (features >> VIRTIO_NET_F_GUEST_TSO4 & 1)
			offload |= TUN_F_TSO4;
		if (features >> VIRTIO_NET_F_GUEST_TSO6 & 1)
			offload |= TUN_F_TSO6;
	}
	/* What the interface cannot leave to the guest it does itself. */
	if (ioctl(b->fd, TUNSETOFFLOAD, offload) < 0)
		ioctl(b->fd, TUNSETOFFLOAD, 0);
}

static int tap_receive(struct net_backend *b, struct net_frame *f)
{
	struct tap *t = (struct tap *)b;
	ssize_t n;

	do
		n = read(b->fd, t->frame, sizeof(t->frame));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if ((size_t)n < NET_HEADER_SIZE + NET_FRAME_MIN)
		return n == 0 ? -ENODATA : 0;
	memcpy(f->header, t->frame, NET_HEADER_SIZE);
	f->data = t->frame + NET_HEADER_SIZE;
	f->size = (size_t)n - NET_HEADER_SIZE;
	return 1;
}

static int tap_send(struct net_backend *b, const uint8_t header[NET_HEADER_SIZE],
                    const struct iovec *iov, size_t n)
{
	struct iovec all[IOV_MAX];
	ssize_t r;

	if (n > IOV_MAX - 1)
		return 0;
	all[0] = (struct iovec){(void *)(uintptr_t)header, NET_HEADER_SIZE};
	memcpy(all + 1, iov, n * sizeof(*iov));
	do
		r = writev(b->fd, all, (int)n + 1);
	while (r < 0 && errno == EINTR);
	/* A frame that the interface does not take (it is down, the header is odd) is lost. */
	return r < 0 && errno == EAGAIN ? -EAGAIN : 0;
}

static int tap_flush(struct net_backend *b)
{
	return 0;
}

static void tap_free(struct net_backend *b)
{
	free(b);
}

static const struct net_backend_ops tap_ops = {
    .features = FEATURES,
    .set_features = set_features,
    .receive = tap_receive,
    .send = tap_send,
    .flush = tap_flush,
    .free = tap_free,
};

int net_tap_open(const char *name, struct error *err)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (strlen(name) >= IFNAMSIZ)
		return error_set(err, ENAMETOOLONG, "tap interface %s: the name is too long", name);
	strcpy(ifr.ifr_name, name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		return error_errno(err, errno, "opening tap interface %s", name);
	return steal_fd(&fd);
}

int net_tap_new(struct net_backend **out, int fd, struct error *err)
{
	int header = NET_HEADER_SIZE, r;
	struct ifreq ifr = {0};
	struct tap *t;

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return error_errno(err, errno, "network device: not a tap interface");
	if (!(ifr.ifr_flags & IFF_TAP) || !(ifr.ifr_flags & IFF_NO_PI) ||
	    !(ifr.ifr_flags & IFF_VNET_HDR))
		return error_set(err, EINVAL,
		                 "network device: tap interface %.*s was opened without "
		                 "IFF_TAP, IFF_NO_PI or IFF_VNET_HDR",
		                 IFNAMSIZ, ifr.ifr_name);
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0)
		return error_errno(err, errno, "network device: headers of tap interface %.*s",
		                   IFNAMSIZ, ifr.ifr_name);
	r = fs_set_nonblock(fd, true);
	if (r < 0)
		return error_errno(err, -r, "network device: tap interface");
	t = calloc(1, sizeof(*t));
	if (!t)
		return error_set(err, ENOMEM, "no memory for the tap interface");
	t->backend = (struct net_backend){&tap_ops, fd};
	*out = &t->backend;
	return 0;
}
