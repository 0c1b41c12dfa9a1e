/* SPDX-License-Identifier: Apache-2.0 */
/* vsock: the virtio socket device (virtio 1.2 §5.10): packets between queues and streams. */
#include "vsock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host-shim/vmm/devices/vsock_listen.h"
#include "host-shim/vmm/devices/vsock_mux.h"
#include "host-shim/vmm/virtio/iov.h"
#include "lib/base/bytes.h"

/* Packets handled before other sources of the loop get their turn. */
#define PACKETS_A_TURN 4096

#define EVENT_TRANSPORT_RESET 0

/* Clients that wait for the driver to have heard of a reset; further ones are hung up on. */
#define WAITING_MAX 8

struct waiting {
	int fd;
	uint32_t guest_port;
};

struct vsock {
	struct virtio_device dev;
	struct loop *loop;
	struct vsock_mux *mux;
	struct vsock_listener *listener;
	struct loop_source *again; /* armed when a turn ended with work left */
	uint64_t guest_cid;
	char *path;
	int (*connect)(void *data, uint32_t port);
	void *connect_data;
	bool busy;         /* inside run(): wakes only ask for another round */
	bool reset_unsent; /* an event that waits for a buffer */
	/* The event is out, and the driver had offered so many buffers for events by then. */
	bool reset_unheard;
	uint16_t events_offered;
	struct waiting waiting[WAITING_MAX];
	unsigned int n_waiting;
};

static struct vsock *vsock_of(struct virtio_device *dev)
{
	return (struct vsock *)dev;
}

/* ---- from the guest */

static void receive(struct vsock *v, const struct virtqueue_chain *c)
{
	struct iovec payload[VIRTQUEUE_SIZE_MAX];
	uint8_t bytes[VSOCK_HEADER_SIZE];
	struct vsock_header h;
	size_t n;

	if (iov_read(chain_readable(c), c->n_read, 0, bytes, sizeof(bytes)) < sizeof(bytes))
		return; /* no packet at all; the buffer goes back */
	vsock_header_decode(&h, bytes);
	n = iov_slice(chain_readable(c), c->n_read, sizeof(bytes), SIZE_MAX, payload,
	              VIRTQUEUE_SIZE_MAX, NULL);
	vsock_mux_receive(v->mux, &h, payload, n);
	if (h.op == VSOCK_OP_RESPONSE && !v->dev.answered_ns)
		v->dev.answered_ns = loop_now_ms() * 1000000;
}

/* True when at least one packet was taken. */
static bool run_tx(struct vsock *v, unsigned int *budget)
{
	struct virtqueue *q = &v->dev.queues[VSOCK_QUEUE_TX];
	struct virtqueue_chain c;
	bool any = false;
	int r = 0;

	do {
		virtqueue_notify_off(q);
		while (*budget > 0 && vsock_mux_can_receive(v->mux)) {
			r = virtqueue_pop(q, &c);
			if (r <= 0)
				break;
			(*budget)--;
			receive(v, &c);
			virtqueue_push(q, c.head, 0);
			any = true;
		}
		if (r < 0) {
			virtio_device_broken(&v->dev, q->broken);
			return false;
		}
		if (any)
			virtio_device_publish(&v->dev, VSOCK_QUEUE_TX);
	} while (virtqueue_notify_on(q) && *budget > 0 && vsock_mux_can_receive(v->mux));
	return any;
}

/* ---- to the guest */

enum sent { SENT, NO_BUFFER, NO_PACKET, SEND_BROKEN };

static enum sent send_one(struct vsock *v, struct virtqueue *q)
{
	struct iovec payload[VIRTQUEUE_SIZE_MAX];
	struct virtqueue_chain c;
	uint8_t bytes[VSOCK_HEADER_SIZE];
	struct vsock_header h;
	size_t n;
	int r = virtqueue_pop(q, &c);

	if (r == 0)
		return NO_BUFFER;
	if (r < 0 || c.write_size < sizeof(bytes)) {
		virtio_device_broken(&v->dev, r < 0 ? q->broken
		                                    : "a receive buffer is smaller than a packet "
		                                      "header (5.10.6.4)");
		return SEND_BROKEN;
	}
	n = iov_slice(chain_writable(&c), c.n_write, sizeof(bytes), SIZE_MAX, payload,
	              VIRTQUEUE_SIZE_MAX, NULL);
	if (!vsock_mux_next(v->mux, &h, payload, n)) {
		virtqueue_unpop(q);
		return NO_PACKET;
	}
	vsock_header_encode(&h, bytes);
	iov_write(chain_writable(&c), c.n_write, 0, bytes, sizeof(bytes));
	virtqueue_push(q, c.head, (uint32_t)sizeof(bytes) + h.len);
	return SENT;
}

static bool run_rx(struct vsock *v, unsigned int *budget)
{
	struct virtqueue *q = &v->dev.queues[VSOCK_QUEUE_RX];
	enum sent sent = SENT;
	bool any = false;

	virtqueue_notify_off(q);
	while (sent != NO_PACKET && *budget > 0 && vsock_mux_pending(v->mux)) {
		(*budget)--;
		sent = send_one(v, q);
		if (sent == SEND_BROKEN)
			return false;
		/* No buffer: ask to be told of one, unless one came just now. */
		if (sent == NO_BUFFER && !virtqueue_notify_on(q))
			break;
		any |= sent == SENT;
	}
	if (any)
		virtio_device_publish(&v->dev, VSOCK_QUEUE_RX);
	return any;
}

/* ---- events */

static void run_events(struct vsock *v)
{
	struct virtqueue *q = &v->dev.queues[VSOCK_QUEUE_EVENT];
	struct virtqueue_chain c;
	uint8_t event[4];
	int r;

	if (!v->reset_unsent)
		return;
	r = virtqueue_pop(q, &c);
	if (r < 0 || (r > 0 && c.write_size < sizeof(event)))
		virtio_device_broken(
		    &v->dev,
		    r < 0 ? q->broken : "a buffer for events is smaller than an event (5.10.6.7)");
	if (r <= 0 || v->dev.needs_reset)
		return;
	v->events_offered = virtqueue_offered(q);
	v->reset_unheard = true;
	put_le32(event, EVENT_TRANSPORT_RESET);
	iov_write(chain_writable(&c), c.n_write, 0, event, sizeof(event));
	virtqueue_push(q, c.head, sizeof(event));
	/* Before the driver knows: it cannot have offered the buffer again yet. */
	virtqueue_notify_beyond(q, v->events_offered);
	virtio_device_publish(&v->dev, VSOCK_QUEUE_EVENT);
	v->reset_unsent = false;
}

/* ---- all of it */

static void again(struct loop_source *src, void *data);

/* Both directions until nothing moves: what comes from the guest makes answers, and
 * answers that left make room for more. */
static void run(struct vsock *v)
{
	unsigned int budget = PACKETS_A_TURN;
	bool moved = true;

	if (v->busy || !v->dev.active)
		return;
	v->busy = true;
	while (moved && budget > 0 && !v->dev.needs_reset) {
		moved = run_tx(v, &budget);
		if (!v->dev.needs_reset)
			moved |= run_rx(v, &budget);
	}
	if (!v->dev.needs_reset)
		run_events(v);
	v->busy = false;
	if (budget == 0) {
		if (!v->again)
			loop_add_timer(v->loop, 1, again, v, &v->again, NULL);
		else
			loop_set_timer(v->again, 1);
	}
}

static void again(struct loop_source *src, void *data)
{
	run(data);
}

static void wake(void *data)
{
	struct vsock *v = data;

	if (!v->dev.needs_reset)
		run(v);
}

/* ---- the device model */

static void config_read(struct virtio_device *dev, size_t offset, void *to, size_t size)
{
	uint8_t config[8]; /* struct virtio_vsock_config: le64 guest_cid, §5.10.4 */

	put_le64(config, vsock_of(dev)->guest_cid);
	virtio_config_copy(config, sizeof(config), offset, to, size);
}

/* The driver closes all its streams when it handles the event, new ones as well; afterwards it
 * offers the event's buffer again. */
static bool is_resetting(struct vsock *v)
{
	if (v->reset_unheard &&
	    virtqueue_offered(&v->dev.queues[VSOCK_QUEUE_EVENT]) != v->events_offered)
		v->reset_unheard = false;
	return v->reset_unsent || v->reset_unheard;
}

static void hang_up_waiting(struct vsock *v)
{
	for (unsigned int i = 0; i < v->n_waiting; i++)
		close(v->waiting[i].fd);
	v->n_waiting = 0;
}

static void open_waiting(struct vsock *v)
{
	if (v->n_waiting == 0 || v->dev.needs_reset || is_resetting(v))
		return;
	for (unsigned int i = 0; i < v->n_waiting; i++)
		if (vsock_mux_open(v->mux, v->waiting[i].fd, v->waiting[i].guest_port, NULL) < 0)
			close(v->waiting[i].fd);
	v->n_waiting = 0;
}

static void queue_notify(struct virtio_device *dev, unsigned int queue)
{
	run(vsock_of(dev));
	open_waiting(vsock_of(dev));
}

static void reset(struct virtio_device *dev)
{
	struct vsock *v = vsock_of(dev);

	hang_up_waiting(v);
	vsock_mux_reset(v->mux);
	v->reset_unsent = v->reset_unheard = false;
	loop_source_free(v->again);
	v->again = NULL;
}

static void vsock_free(struct virtio_device *dev)
{
	struct vsock *v = vsock_of(dev);

	hang_up_waiting(v);
	vsock_listener_free(v->listener);
	vsock_mux_free(v->mux);
	loop_source_free(v->again);
	free(v->path);
	free(v);
}

static const struct virtio_device_ops vsock_ops = {
    .name = "vsock",
    .id = VIRTIO_ID_VSOCK,
    .n_queues = VSOCK_QUEUES,
    .features = VIRTIO_COMMON_FEATURES,
    .config_read = config_read,
    .queue_notify = queue_notify,
    .reset = reset,
    .free = vsock_free,
};

/* ---- the host's side */

static int connect_host(void *data, uint32_t port)
{
	struct vsock *v = data;

	if (v->connect)
		return v->connect(v->connect_data, port);
	return v->path ? vsock_connect_path(v->path, port) : -ECONNREFUSED;
}

int vsock_device_open(struct virtio_device *dev, int fd, uint32_t guest_port)
{
	/* Before the driver is there nobody would answer: the client tries again. */
	if (!dev->active || dev->needs_reset || is_resetting(vsock_of(dev)))
		return -ENOTCONN;
	return vsock_mux_open(vsock_of(dev)->mux, fd, guest_port, NULL);
}

static int open_guest(void *data, int fd, uint32_t guest_port)
{
	struct vsock *v = data;

	/* Soon: it would have to try again otherwise, and to guess when. */
	if (v->dev.active && !v->dev.needs_reset && is_resetting(v) && v->n_waiting < WAITING_MAX) {
		v->waiting[v->n_waiting++] = (struct waiting){fd, guest_port};
		return 0;
	}
	return vsock_device_open(&v->dev, fd, guest_port);
}

void vsock_device_transport_reset(struct virtio_device *dev)
{
	struct vsock *v = vsock_of(dev);

	vsock_mux_reset(v->mux);
	v->reset_unsent = true;
	run(v);
}

int vsock_device_new(struct virtio_device **out, struct loop *loop,
                     const struct vsock_config *config, struct error *err)
{
	_cleanup_virtio_device_ struct virtio_device *dev = NULL;
	struct vsock *v;
	int r;

	if (config->guest_cid <= VSOCK_CID_HOST || config->guest_cid >= UINT32_MAX)
		return error_set(err, EINVAL, "vsock: %" PRIu64 " is no guest's context id",
		                 config->guest_cid);
	v = calloc(1, sizeof(*v));
	if (!v)
		return error_set(err, ENOMEM, "no memory for the vsock device");
	dev = &v->dev;
	v->dev.ops = &vsock_ops;
	v->loop = loop;
	v->guest_cid = config->guest_cid;
	v->connect = config->connect;
	v->connect_data = config->connect_data;
	if (config->path && !(v->path = strdup(config->path)))
		return error_set(err, ENOMEM, "no memory for the vsock device");
	r = vsock_mux_new(&v->mux, loop,
	                  &(struct vsock_mux_config){config->guest_cid, connect_host, wake, v},
	                  err);
	if (r == 0 && config->listen_fd >= 0)
		r = vsock_listener_new(&v->listener, loop, config->listen_fd, open_guest, v, err);
	if (r < 0)
		return r;
	*out = steal_ptr(&dev);
	return 0;
}
