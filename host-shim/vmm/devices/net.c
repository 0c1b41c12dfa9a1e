/* SPDX-License-Identifier: Apache-2.0 */
/* net: the virtio network device (virtio 1.2 §5.1). */
#include "net.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#include "host-shim/vmm/virtio/iov.h"
#include "host-shim/vmm/virtio/later.h"
#include "lib/base/bytes.h"

#define FRAMES_A_TURN 256
#define MERGE_MAX     64 /* buffers that one frame may be spread over */
/* After so many the driver is shown what was received, as vhost-net does. */
#define BUFFERS_A_BATCH 64

/* Of struct virtio_net_hdr_v1, §5.1.6. */
#define HDR_FLAGS       0
#define HDR_GSO_TYPE    1
#define HDR_GSO_SIZE    4
#define HDR_CSUM_START  6
#define HDR_CSUM_OFFSET 8
#define HDR_NUM_BUFFERS 10

#define MTU_MIN 68 /* §5.1.4.1 */

#define CONFIG_SIZE 12 /* mac, le16 status, max_virtqueue_pairs, mtu */

struct net {
	struct virtio_device dev;
	struct loop *loop;
	struct net_backend *backend;
	uint8_t mac[6];
	uint16_t mtu;
	bool up;
	bool tx_blocked;           /* the descriptor must be writable first */
	bool rx_full;              /* a frame is held, the guest has no buffers */
	bool lost;                 /* the frame is not for this driver */
	struct loop_source *watch; /* NULL while nothing is waited for */
	uint32_t events;           /* of `watch` */
	struct later again;
	struct net_frame frame;
};

static struct net *net_of(struct virtio_device *dev)
{
	return (struct net *)dev;
}

static void on_ready(struct loop_source *src, int fd, uint32_t events, void *data);

/* Waits for just what can be gone on with: a descriptor that is ready for anything else would wake
 * the loop without end. */
static void watch(struct net *n)
{
	uint32_t events = 0;

	if (n->up && n->dev.active && !n->dev.needs_reset)
		events = (n->rx_full ? 0u : EPOLLIN) | (n->tx_blocked ? EPOLLOUT : 0u);
	if (events == n->events)
		return;
	loop_source_free(n->watch);
	n->watch = NULL;
	n->events = 0;
	if (events &&
	    loop_add_fd(n->loop, n->backend->fd, events, on_ready, n, &n->watch, NULL) == 0)
		n->events = events;
	else if (events)
		later_set(&n->again, 100);
}

static void link_down(struct net *n)
{
	if (!n->up)
		return;
	n->up = false;
	n->tx_blocked = n->rx_full = false;
	virtio_device_config_changed(&n->dev);
}

/* Whether the feature for that kind of segmentation was negotiated. */
static bool may_segment(const struct net *n, uint8_t gso, unsigned int tso4, unsigned int tso6)
{
	return (gso == VIRTIO_NET_HDR_GSO_TCPV4 && virtio_device_has(&n->dev, tso4)) ||
	       (gso == VIRTIO_NET_HDR_GSO_TCPV6 && virtio_device_has(&n->dev, tso6));
}

/* ---- from the guest */

/* §5.1.6.2: whether the header asks for no more than was negotiated and the frame has. What the
 * driver must not set and the device must ignore is cleared. */
static bool check_header(const struct net *n, uint8_t *h, size_t size)
{
	uint8_t gso = h[HDR_GSO_TYPE];
	bool csum;

	h[HDR_FLAGS] &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	put_le16(h + HDR_NUM_BUFFERS, 0);
	csum = h[HDR_FLAGS];
	if (csum &&
	    (!virtio_device_has(&n->dev, VIRTIO_NET_F_CSUM) ||
	     (size_t)get_le16(h + HDR_CSUM_START) + get_le16(h + HDR_CSUM_OFFSET) + 2 > size))
		return false;
	if (gso == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	if (!csum || get_le16(h + HDR_GSO_SIZE) == 0)
		return false;
	return may_segment(n, gso, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6);
}

/* Sends the chain's frame; -EAGAIN: not now. A frame that is no frame is lost. */
static int send_chain(struct net *n, const struct virtqueue_chain *c)
{
	struct iovec frame[VIRTQUEUE_SIZE_MAX - 2];
	uint8_t header[NET_HEADER_SIZE];
	size_t pieces, size, want;

	if (c->read_size < NET_HEADER_SIZE + NET_FRAME_MIN ||
	    c->read_size > NET_HEADER_SIZE + NET_FRAME_MAX)
		return 0;
	want = c->read_size - NET_HEADER_SIZE;
	iov_read(chain_readable(c), c->n_read, 0, header, sizeof(header));
	pieces = iov_slice(chain_readable(c), c->n_read, NET_HEADER_SIZE, want, frame,
	                   VIRTQUEUE_SIZE_MAX - 2, &size);
	if (size != want || !check_header(n, header, size))
		return 0;
	return n->backend->ops->send(n->backend, header, frame, pieces);
}

static enum virtio_took transmit(struct virtio_device *dev, unsigned int queue,
                                 struct virtqueue_chain *c)
{
	struct net *n = net_of(dev);
	/* Without a link there is nobody to send to, but the driver gets its buffers back. */
	int r = n->up ? send_chain(n, c) : 0;

	if (r == -EAGAIN) {
		n->tx_blocked = true;
		return VIRTIO_LATER;
	}
	if (r < 0)
		link_down(n);
	virtqueue_push(&dev->queues[queue], c->head, 0);
	return VIRTIO_TAKEN;
}

static void run_tx(struct net *n)
{
	if (!n->tx_blocked && virtio_device_drain(&n->dev, NET_QUEUE_TX, FRAMES_A_TURN, transmit))
		later_set(&n->again, 1);
}

/* ---- to the guest */

struct delivery {
	struct {
		uint16_t head;
		uint32_t written;
	} used[MERGE_MAX];
	unsigned int n;
	size_t done;                 /* bytes of header and frame */
	struct iovec num_buffers[2]; /* where §5.1.6.4.1's count goes */
	unsigned int n_pieces;
};

enum delivered { DELIVERED, NO_BUFFER, LOST, RX_BROKEN };

/* Fills one buffer with what comes next of header and frame. */
static void fill(const struct net *n, struct delivery *d, const struct virtqueue_chain *c)
{
	const struct iovec *iov = chain_writable(c);
	size_t at = 0, put;

	if (d->done == 0) {
		at = iov_write(iov, c->n_write, 0, n->frame.header, NET_HEADER_SIZE);
		d->n_pieces = (unsigned int)iov_slice(iov, c->n_write, HDR_NUM_BUFFERS, 2,
		                                      d->num_buffers, 2, NULL);
		d->done = at;
	}
	put = iov_write(iov, c->n_write, at, n->frame.data + (d->done - NET_HEADER_SIZE),
	                n->frame.size - (d->done - NET_HEADER_SIZE));
	d->done += put;
	d->used[d->n].head = c->head;
	d->used[d->n].written = (uint32_t)(at + put);
	d->n++;
}

static enum delivered take_buffers(struct net *n, struct delivery *d)
{
	struct virtqueue *q = &n->dev.queues[NET_QUEUE_RX];
	struct virtqueue_chain c;
	size_t whole = NET_HEADER_SIZE + n->frame.size;
	unsigned int max = 1;

	if (virtio_device_has(&n->dev, VIRTIO_NET_F_MRG_RXBUF))
		max = q->size < MERGE_MAX ? q->size : MERGE_MAX;
	while (d->done < whole) {
		int r;

		if (d->n == max)
			return LOST; /* the buffers are too small for it */
		r = virtqueue_pop(q, &c);
		if (r == 0)
			return NO_BUFFER;
		if (r < 0 || c.write_size < NET_HEADER_SIZE) {
			virtio_device_broken(&n->dev, r < 0 ? q->broken
			                                    : "a receive buffer is smaller than a "
			                                      "packet header (5.1.6.3.1)");
			return RX_BROKEN;
		}
		fill(n, d, &c);
	}
	return DELIVERED;
}

/* *offered: with NO_BUFFER, the driver's count of buffers when there were too few. */
/* §5.1.4.1: what is longer than the MTU and an Ethernet header is not passed on, unless it is to be
 * segmented. */
static bool is_too_long(const struct net *n)
{
	const uint8_t *type = n->frame.data + 12;
	bool tagged = memcmp(type, "\x81\0", 2) == 0 || memcmp(type, "\x88\xa8", 2) == 0;
	size_t header = NET_FRAME_MIN + (tagged ? 4 : 0); /* 802.1Q, 802.1ad */

	return virtio_device_has(&n->dev, VIRTIO_NET_F_MTU) &&
	       n->frame.header[HDR_GSO_TYPE] == VIRTIO_NET_HDR_GSO_NONE &&
	       n->frame.size > header + n->mtu;
}

/* §5.1.6.4.1: what is still to be segmented is for drivers that took that; there are such frames on
 * their way when another driver comes. */
static bool is_understood(const struct net *n)
{
	uint8_t gso = n->frame.header[HDR_GSO_TYPE];

	if (gso == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	return virtio_device_has(&n->dev, VIRTIO_NET_F_GUEST_CSUM) &&
	       may_segment(n, gso, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6);
}

static enum delivered deliver(struct net *n, uint16_t *offered)
{
	struct virtqueue *q = &n->dev.queues[NET_QUEUE_RX];
	struct delivery d = {.n = 0};
	enum delivered r = n->lost ? LOST : take_buffers(n, &d);
	uint8_t count[2];

	*offered = q->next_avail;
	if (r != DELIVERED) {
		while (r != RX_BROKEN && d.n-- > 0)
			virtqueue_unpop(q);
		return r;
	}
	put_le16(count, (uint16_t)d.n);
	iov_write(d.num_buffers, d.n_pieces, 0, count, sizeof(count));
	for (unsigned int i = 0; i < d.n; i++)
		virtqueue_push(q, d.used[i].head, d.used[i].written);
	return DELIVERED;
}

/* The next frame into n->frame, unless one is held. */
static bool next_frame(struct net *n)
{
	int r;

	if (n->rx_full)
		return true;
	r = n->backend->ops->receive(n->backend, &n->frame);
	if (r < 0)
		link_down(n);
	if (r <= 0)
		return false;
	n->lost = !is_understood(n) || is_too_long(n);
	if (!virtio_device_has(&n->dev, VIRTIO_NET_F_GUEST_CSUM))
		memset(n->frame.header, 0, sizeof(n->frame.header));
	return true;
}

static void run_rx(struct net *n)
{
	struct virtqueue *q = &n->dev.queues[NET_QUEUE_RX];
	enum delivered r = DELIVERED;
	uint16_t shown = q->next_used, offered;
	unsigned int i;

	virtqueue_notify_off(q);
	for (i = 0; i < FRAMES_A_TURN && r != RX_BROKEN && n->up && next_frame(n); i++) {
		r = deliver(n, &offered);
		/* The guest begins with these on another processor. */
		if (r == DELIVERED && (uint16_t)(q->next_used - shown) >= BUFFERS_A_BATCH) {
			virtio_device_publish(&n->dev, NET_QUEUE_RX);
			shown = q->next_used;
		}
		n->rx_full = r == NO_BUFFER;
		/* Too few buffers: ask to be told of more than these, unless more came just now. */
		if (n->rx_full && !virtqueue_notify_beyond(q, offered))
			break;
	}
	if (q->next_used != shown && r != RX_BROKEN)
		virtio_device_publish(&n->dev, NET_QUEUE_RX);
	/* Frames that the backend has read already do not show as readiness. */
	if (i == FRAMES_A_TURN)
		later_set(&n->again, 1);
}

static void run(struct net *n)
{
	if (n->dev.active && !n->dev.needs_reset)
		run_tx(n);
	if (n->dev.active && !n->dev.needs_reset)
		run_rx(n);
	watch(n);
}

static void on_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct net *n = data;

	if (n->tx_blocked && events & ~(uint32_t)EPOLLIN) {
		int r = n->backend->ops->flush(n->backend);

		n->tx_blocked = r == -EAGAIN;
		if (r < 0 && r != -EAGAIN)
			link_down(n);
	}
	run(n);
}

static void run_again(struct loop_source *src, void *data)
{
	run(data);
}

/* ---- the device model */

static void config_read(struct virtio_device *dev, size_t offset, void *to, size_t size)
{
	struct net *n = net_of(dev);
	uint8_t c[CONFIG_SIZE] = {0};

	memcpy(c, n->mac, sizeof(n->mac));
	put_le16(c + 6, n->up ? VIRTIO_NET_S_LINK_UP : 0);
	put_le16(c + 8, 1);
	put_le16(c + 10, n->mtu);
	virtio_config_copy(c, sizeof(c), offset, to, size);
}

static void activate(struct virtio_device *dev)
{
	struct net *n = net_of(dev);

	n->backend->ops->set_features(n->backend, dev->negotiated);
	run(n);
}

static void queue_notify(struct virtio_device *dev, unsigned int queue)
{
	struct net *n = net_of(dev);

	if (queue == NET_QUEUE_TX)
		run_tx(n);
	else if (n->rx_full)
		run_rx(n);
	watch(n);
}

static void reset(struct virtio_device *dev)
{
	struct net *n = net_of(dev);

	n->tx_blocked = n->rx_full = false; /* a frame that was held is lost */
	later_clear(&n->again);
	watch(n);
	n->backend->ops->set_features(n->backend, 0);
}

static void net_free(struct virtio_device *dev)
{
	struct net *n = net_of(dev);

	loop_source_free(n->watch);
	later_clear(&n->again);
	net_backend_free(n->backend);
	free(n);
}

static const struct virtio_device_ops net_ops = {
    .name = "net",
    .id = VIRTIO_ID_NET,
    .n_queues = 2,
    .features = VIRTIO_COMMON_FEATURES | 1ull << VIRTIO_NET_F_MAC | 1ull << VIRTIO_NET_F_STATUS |
                1ull << VIRTIO_NET_F_MRG_RXBUF,
    .queue_size = 256,
    .config_read = config_read,
    .activate = activate,
    .queue_notify = queue_notify,
    .reset = reset,
    .free = net_free,
};

bool net_device_is_up(const struct virtio_device *dev)
{
	return ((const struct net *)dev)->up;
}

int net_device_new(struct virtio_device **out, struct loop *loop, const struct net_config *config,
                   struct error *err)
{
	struct net *n;

	if (config->mtu && config->mtu < MTU_MIN)
		return error_set(err, EINVAL, "network device: an MTU of %u, it has at least %d",
		                 config->mtu, MTU_MIN);
	n = calloc(1, sizeof(*n));
	if (!n)
		return error_set(err, ENOMEM, "no memory for the network device");
	n->dev.ops = &net_ops;
	n->dev.features =
	    config->backend->ops->features | (config->mtu ? 1ull << VIRTIO_NET_F_MTU : 0);
	n->loop = loop;
	n->backend = config->backend;
	memcpy(n->mac, config->mac, sizeof(n->mac));
	n->mtu = config->mtu;
	n->up = true;
	n->again = (struct later){.loop = loop, .fn = run_again, .data = n};
	*out = &n->dev;
	return 0;
}
