/* SPDX-License-Identifier: Apache-2.0 */
/* vhost_user_device: a virtio device whose queues another process serves. */
#include "vhost_user_device.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "host-shim/vmm/devices/vhost_user_wire.h"
#include "lib/base/bytes.h"
#include "lib/base/log.h"

#define REGIONS_MAX 8

/* Bits that are a device's own (0 to 23), and those of the transport that need nothing of us.
 * Packed rings, an IOMMU, the logging of dirty pages and the rest are not for the guest to take. */
#define FEATURES_ALLOWED (0xffffffull | VIRTIO_COMMON_FEATURES)

#define PROTOCOL_FEATURES                                                                          \
	(1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK | 1ull << VHOST_USER_PROTOCOL_F_CONFIG)

struct ring {
	struct front *front;
	unsigned int index;
	int kick_fd, call_fd;
	struct loop_source *call;
	bool started;
};

struct front {
	struct virtio_device dev;
	struct virtio_device_ops ops; /* this device's own */
	struct vhost_user_device_config config;
	struct loop *loop;
	struct loop_source *src; /* the socket, to see its end */
	struct vhost_user_input input;
	uint64_t protocol;
	bool enables; /* VHOST_USER_F_PROTOCOL_FEATURES: rings start disabled */
	bool gone;
	struct ring rings[VIRTIO_QUEUES_MAX];
};

static struct front *front_of(struct virtio_device *dev)
{
	return (struct front *)dev;
}

/* ---- talking */

static int tell(struct front *f, uint32_t request, const void *payload, uint32_t size,
                const int *fds, unsigned int n_fds, struct error *err)
{
	return vhost_user_request(f->config.fd, request, false, payload, size, fds, n_fds, err);
}

/* The answer to `request`, at least `min` bytes of it. */
static int answer(struct front *f, uint32_t request, uint32_t min, struct vhost_user_message *m,
                  struct error *err)
{
	uint64_t end = loop_now_ms() + VHOST_USER_ANSWER_TIMEOUT, now;
	int r;

	while ((r = vhost_user_read(&f->input, f->config.fd, m, err)) == 0) {
		struct pollfd p = {.fd = f->config.fd, .events = POLLIN};

		now = loop_now_ms();
		if (now >= end || (poll(&p, 1, (int)(end - now)) == 0 && loop_now_ms() >= end))
			return error_set(err, ETIMEDOUT, "vhost-user: no answer to message %u",
			                 request);
	}
	if (r == -ENODATA)
		return error_set(err, EPROTO, "vhost-user: the back end closed the connection");
	if (r < 0)
		return r;
	vhost_user_message_done(m); /* descriptors are not what was asked for */
	if (m->request != request || m->size < min)
		return error_set(err, EPROTO,
		                 "vhost-user: message %u of %u bytes answers message %u",
		                 m->request, m->size, request);
	return 0;
}

static int ask(struct front *f, uint32_t request, const void *payload, uint32_t size, uint32_t min,
               struct vhost_user_message *m, struct error *err)
{
	int r = tell(f, request, payload, size, NULL, 0, err);

	return r < 0 ? r : answer(f, request, min, m, err);
}

static int ask_u64(struct front *f, uint32_t request, uint64_t *v, struct error *err)
{
	struct vhost_user_message m = {0};
	int r = ask(f, request, NULL, 0, 8, &m, err);

	*v = get_le64(m.payload);
	return r;
}

static int tell_u64(struct front *f, uint32_t request, uint64_t v, struct error *err)
{
	uint8_t bytes[8];

	put_le64(bytes, v);
	return tell(f, request, bytes, sizeof(bytes), NULL, 0, err);
}

/* struct vhost_vring_state */
static int tell_ring(struct front *f, uint32_t request, unsigned int ring, uint32_t v,
                     struct error *err)
{
	uint8_t bytes[8];

	put_le32(bytes, ring);
	put_le32(bytes + 4, v);
	return tell(f, request, bytes, sizeof(bytes), NULL, 0, err);
}

static int tell_ring_fd(struct front *f, uint32_t request, unsigned int ring, int fd,
                        struct error *err)
{
	uint8_t bytes[8];

	put_le64(bytes, ring);
	return tell(f, request, bytes, sizeof(bytes), &fd, 1, err);
}

/* ---- starting and stopping */

static void give_up(struct front *f, const char *why)
{
	if (!f->gone)
		log_warn("virtio %s: %s", f->config.name, why);
	f->gone = true;
	loop_source_free(f->src);
	f->src = NULL;
	virtio_device_broken(&f->dev, "the process that serves the device has gone");
}

static int share_memory(struct front *f, struct error *err)
{
	uint8_t bytes[8 + 32 * REGIONS_MAX] = {0};
	int fds[REGIONS_MAX];
	uint32_t n = 0;

	for (unsigned int i = 0; i < f->config.memory->n && n < REGIONS_MAX; i++) {
		const struct guest_region *r = &f->config.memory->regions[i];
		uint8_t *to = bytes + 8 + 32 * n;
		uint64_t offset = 0;

		fds[n] = f->config.region_fd(f->config.data, r, &offset);
		if (fds[n] < 0)
			continue;
		put_le64(to, r->gpa);
		put_le64(to + 8, r->size);
		put_le64(to + 16, (uint64_t)(uintptr_t)r->host);
		put_le64(to + 24, offset);
		n++;
	}
	if (n == 0)
		return error_set(err, EINVAL, "vhost-user: the guest's memory is not shared");
	put_le32(bytes, n);
	return tell(f, VHOST_USER_SET_MEM_TABLE, bytes, 8 + 32 * n, fds, n, err);
}

/* The rings' places in our addresses, as the memory table has them. */
static int place_ring(struct front *f, unsigned int i, struct error *err)
{
	const struct virtqueue *q = &f->dev.queues[i];
	uint8_t bytes[40] = {0};

	put_le32(bytes, i);
	put_le64(bytes + 8, (uint64_t)(uintptr_t)q->desc);
	put_le64(bytes + 16, (uint64_t)(uintptr_t)q->used);
	put_le64(bytes + 24, (uint64_t)(uintptr_t)q->avail);
	return tell(f, VHOST_USER_SET_VRING_ADDR, bytes, sizeof(bytes), NULL, 0, err);
}

static int start_ring(struct front *f, unsigned int i, struct error *err)
{
	const struct virtqueue *q = &f->dev.queues[i];
	struct ring *ring = &f->rings[i];
	int r = tell_ring(f, VHOST_USER_SET_VRING_NUM, i, q->size, err);

	if (r == 0)
		r = tell_ring(f, VHOST_USER_SET_VRING_BASE, i, q->next_avail, err);
	if (r == 0)
		r = place_ring(f, i, err);
	if (r == 0)
		r = tell_ring_fd(f, VHOST_USER_SET_VRING_CALL, i, ring->call_fd, err);
	if (r == 0)
		r = tell_ring_fd(f, VHOST_USER_SET_VRING_KICK, i, ring->kick_fd, err);
	if (r == 0 && f->enables)
		r = tell_ring(f, VHOST_USER_SET_VRING_ENABLE, i, 1, err);
	ring->started = r == 0;
	return r;
}

static int start(struct front *f, struct error *err)
{
	uint64_t features = f->dev.negotiated & FEATURES_ALLOWED, ignored;
	int r;

	if (f->enables)
		features |= 1ull << VHOST_USER_F_PROTOCOL_FEATURES;
	r = tell_u64(f, VHOST_USER_SET_FEATURES, features, err);
	if (r == 0)
		r = share_memory(f, err);
	for (unsigned int i = 0; r == 0 && i < f->config.n_queues; i++)
		if (f->dev.queues[i].ready)
			r = start_ring(f, i, err);
	/* An answer to anything means that all before was taken. */
	return r < 0 ? r : ask_u64(f, VHOST_USER_GET_FEATURES, &ignored, err);
}

static void activate(struct virtio_device *dev)
{
	struct front *f = front_of(dev);
	struct error err = ERROR_INIT;

	if (f->gone || start(f, &err) < 0) {
		give_up(f, err.text);
		return;
	}
	/* What was offered before the rings were taken over. */
	for (unsigned int i = 0; i < f->config.n_queues; i++)
		if (f->rings[i].started)
			loop_event_signal(f->rings[i].kick_fd);
}

static void queue_notify(struct virtio_device *dev, unsigned int queue)
{
	if (front_of(dev)->rings[queue].started)
		loop_event_signal(front_of(dev)->rings[queue].kick_fd);
}

/* The other process must have let go of a ring before the guest uses its memory again. */
static void stop_queue(struct virtio_device *dev, unsigned int queue)
{
	struct front *f = front_of(dev);
	struct vhost_user_message m = {0};
	struct error err = ERROR_INIT;
	uint8_t state[8] = {0};

	if (!f->rings[queue].started)
		return;
	f->rings[queue].started = false;
	put_le32(state, queue);
	if (!f->gone && ask(f, VHOST_USER_GET_VRING_BASE, state, 8, 8, &m, &err) < 0)
		give_up(f, err.text);
}

static void reset(struct virtio_device *dev)
{
	for (unsigned int i = 0; i < dev->ops->n_queues; i++)
		stop_queue(dev, i);
	dev->needs_reset = false;
}

/* ---- events */

static void on_call(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct ring *ring = data;
	struct virtio_device *dev = &ring->front->dev;

	if (!loop_event_take(fd) || !ring->started || dev->needs_reset)
		return;
	if (dev->transport.interrupt)
		dev->transport.interrupt(dev->transport.data, ring->index);
}

/* Nothing comes that was not asked for, but the end. */
static void on_socket(struct loop_source *src, int fd, uint32_t events, void *data)
{
	give_up(data, "the process that serves it has closed the connection");
}

/* ---- configuration */

static void config_read(struct virtio_device *dev, size_t offset, void *to, size_t size)
{
	struct front *f = front_of(dev);

	virtio_config_copy(f->config.config, f->config.config_size, offset, to, size);
}

/* struct vhost_user_config: le32 offset, size, flags; then the bytes. */
static int read_config(struct front *f, struct error *err)
{
	uint8_t bytes[12 + VHOST_USER_CONFIG_MAX] = {0};
	struct vhost_user_message m = {0};
	int r;

	if (f->config.config_size > 0 || !(f->protocol & 1ull << VHOST_USER_PROTOCOL_F_CONFIG))
		return 0;
	put_le32(bytes + 4, VHOST_USER_CONFIG_MAX);
	r = ask(f, VHOST_USER_GET_CONFIG, bytes, sizeof(bytes), 12, &m, err);
	if (r < 0)
		return r;
	f->config.config_size =
	    m.size - 12 < VHOST_USER_CONFIG_MAX ? m.size - 12 : VHOST_USER_CONFIG_MAX;
	memcpy(f->config.config, m.payload + 12, f->config.config_size);
	return 0;
}

int vhost_user_fs_config(struct vhost_user_device_config *config, const char *tag,
                         struct error *err)
{
	size_t n = strlen(tag);

	if (n == 0 || n > 36)
		return error_set(err, EINVAL, "file system tag '%s': 1 to 36 bytes are allowed",
		                 tag);
	config->name = "fs";
	config->id = VIRTIO_ID_FS;
	config->n_queues = 2; /* high priority, requests */
	memset(config->config, 0, sizeof(config->config));
	memcpy(config->config, tag, n);
	put_le32(config->config + 36, 1);
	config->config_size = 40;
	return 0;
}

/* ---- life */

/* §"Starting and stopping" of the protocol: features first, then what the two may talk about. */
static int greet(struct front *f, struct error *err)
{
	uint64_t features, protocol = 0;
	int r = ask_u64(f, VHOST_USER_GET_FEATURES, &features, err);

	if (r < 0)
		return r;
	if (!(features & 1ull << VIRTIO_F_VERSION_1))
		return error_set(err, EPROTO, "vhost-user: the back end knows no virtio 1");
	f->ops.features = features & FEATURES_ALLOWED;
	f->enables = features >> VHOST_USER_F_PROTOCOL_FEATURES & 1;
	if (f->enables) {
		r = ask_u64(f, VHOST_USER_GET_PROTOCOL_FEATURES, &protocol, err);
		f->protocol = protocol & PROTOCOL_FEATURES;
		if (r == 0)
			r = tell_u64(f, VHOST_USER_SET_PROTOCOL_FEATURES, f->protocol, err);
	}
	if (r == 0)
		r = tell(f, VHOST_USER_SET_OWNER, NULL, 0, NULL, 0, err);
	return r < 0 ? r : read_config(f, err);
}

static int make_rings(struct front *f, struct error *err)
{
	for (unsigned int i = 0; i < f->config.n_queues; i++) {
		struct ring *ring = &f->rings[i];
		int r;

		ring->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ring->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (ring->kick_fd < 0 || ring->call_fd < 0)
			return error_errno(err, errno, "vhost-user: eventfd");
		r = loop_add_fd(f->loop, ring->call_fd, EPOLLIN, on_call, ring, &ring->call, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void front_free(struct virtio_device *dev)
{
	struct front *f = front_of(dev);

	loop_source_free(f->src);
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		loop_source_free(f->rings[i].call);
		close_fd(&f->rings[i].kick_fd);
		close_fd(&f->rings[i].call_fd);
	}
	vhost_user_input_clear(&f->input);
	close_fd(&f->config.fd);
	free(f);
}

int vhost_user_device_new(struct virtio_device **out, struct loop *loop,
                          const struct vhost_user_device_config *config, struct error *err)
{
	struct front *f;
	int r;

	if (config->n_queues == 0 || config->n_queues > VIRTIO_QUEUES_MAX ||
	    config->config_size > VHOST_USER_CONFIG_MAX)
		return error_set(err, EINVAL, "vhost-user: %u queues, %zu bytes of configuration",
		                 config->n_queues, config->config_size);
	f = calloc(1, sizeof(*f));
	if (!f)
		return error_set(err, ENOMEM, "no memory for a vhost-user device");
	f->ops = (struct virtio_device_ops){.name = config->name,
	                                    .id = config->id,
	                                    .n_queues = config->n_queues,
	                                    .config_read = config_read,
	                                    .activate = activate,
	                                    .queue_notify = queue_notify,
	                                    .stop_queue = stop_queue,
	                                    .reset = reset,
	                                    .free = front_free,
	                                    .unsavable = true};
	f->dev.ops = &f->ops;
	f->config = *config;
	f->loop = loop;
	f->input.replies = true;
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++)
		f->rings[i] = (struct ring){.front = f, .index = i, .kick_fd = -1, .call_fd = -1};
	r = greet(f, err);
	if (r == 0)
		r = make_rings(f, err);
	if (r == 0)
		r = loop_add_fd(loop, config->fd, EPOLLIN, on_socket, f, &f->src, err);
	if (r < 0) {
		f->config.fd = -1; /* still the caller's */
		front_free(&f->dev);
		return r;
	}
	*out = &f->dev;
	return 0;
}
