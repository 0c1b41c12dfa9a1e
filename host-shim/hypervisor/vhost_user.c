/* SPDX-License-Identifier: Apache-2.0 */
/* vhost_user: lends a virtio device model to another monitor (QEMU). */
#include "vhost_user.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host-shim/vmm/devices/vhost_user_wire.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"

#define REGIONS_MAX     8
#define CONFIG_SIZE_MAX 256

/* Of the payload of SET_VRING_KICK, _CALL and _ERR. */
#define VRING_INDEX_MASK 0xffu

#define PROTOCOL_FEATURES                                                                          \
	(1ull << VHOST_USER_PROTOCOL_F_MQ | 1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK |              \
	 1ull << VHOST_USER_PROTOCOL_F_CONFIG)

struct vring {
	struct vhost_user *vu;
	uint32_t num;
	uint16_t base;
	uint64_t desc, used, avail; /* in the front end's addresses */
	int kick_fd, call_fd, err_fd;
	struct loop_source *kick;
	bool has_addr, enabled, started;
};

struct vhost_user {
	struct loop *loop;
	struct loop_source *src, *deadline;
	int fd;
	struct virtio_device *dev;
	vhost_user_ended_fn ended;
	void *data;
	struct vhost_user_input input;
	struct guest_memory memory;
	struct {
		uint64_t user, gpa, size;
	} regions[REGIONS_MAX]; /* where the front end has the memory */
	unsigned int n_regions;
	uint64_t features, protocol_features;
	struct vring vrings[VIRTIO_QUEUES_MAX];
};

/* ---- memory */

/* The guest-physical address of a front end's address, or UINT64_MAX. */
static uint64_t gpa_of(const struct vhost_user *vu, uint64_t user)
{
	for (unsigned int i = 0; i < vu->n_regions; i++)
		if (user >= vu->regions[i].user && user - vu->regions[i].user < vu->regions[i].size)
			return vu->regions[i].gpa + (user - vu->regions[i].user);
	return UINT64_MAX;
}

static int start_ring(struct vhost_user *vu, unsigned int i, struct error *err);

/* Rings that run hold pointers into the memory: they go on in the new one. */
static int restart_rings(struct vhost_user *vu, struct error *err)
{
	for (unsigned int i = 0; i < vu->dev->ops->n_queues; i++) {
		int r;

		if (!vu->vrings[i].started)
			continue;
		vu->vrings[i].base = vu->dev->queues[i].next_avail;
		r = start_ring(vu, i, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int set_mem_table(struct vhost_user *vu, struct vhost_user_message *m, struct error *err)
{
	struct reader p = reader_init(m->payload, m->size);
	uint32_t n = reader_le32(&p);
	struct guest_memory new = {0};
	int r = 0;

	reader_skip(&p, 4);
	if (n == 0 || n > REGIONS_MAX || m->n_fds != n || reader_left(&p) != 32ull * n)
		return error_set(err, EPROTO,
		                 "vhost-user: memory table of %u regions, %u descriptors, %u bytes",
		                 n, m->n_fds, m->size);
	vu->n_regions = 0;
	for (uint32_t i = 0; i < n && r == 0; i++) {
		uint64_t gpa = reader_le64(&p), size = reader_le64(&p);
		uint64_t user = reader_le64(&p), offset = reader_le64(&p), end;

		if (__builtin_add_overflow(user, size, &end))
			r = error_set(err, EPROTO, "vhost-user: memory region %u wraps round", i);
		else
			r = guest_memory_map(&new, gpa, size, m->fds[i], offset, false, err);
		vu->regions[i].user = user;
		vu->regions[i].gpa = gpa;
		vu->regions[i].size = size;
	}
	if (r < 0) {
		guest_memory_clear(&new);
		return error_prefix(err, r, "vhost-user: memory table");
	}
	vu->n_regions = n;
	guest_memory_clear(&vu->memory);
	vu->memory = new;
	return restart_rings(vu, err);
}

/* ---- rings */

static int start_ring(struct vhost_user *vu, unsigned int i, struct error *err)
{
	struct vring *v = &vu->vrings[i];
	struct virtqueue_layout l = {
	    .size = v->num <= VIRTQUEUE_SIZE_MAX ? (uint16_t)v->num : 0,
	    .desc = gpa_of(vu, v->desc),
	    .avail = gpa_of(vu, v->avail),
	    .used = gpa_of(vu, v->used),
	    .next_avail = v->base,
	    .features = vu->features,
	};
	int r = virtqueue_start(&vu->dev->queues[i], &vu->memory, &l, err);

	v->started = r == 0;
	return r < 0 ? error_prefix(err, r, "vhost-user: ring %u", i) : 0;
}

/* The first two queues of every device that is lent are the ones it cannot work without
 * (some have only one); QEMU keeps the event queue of a vsock device to itself. */
static bool all_started(const struct vhost_user *vu)
{
	return vu->vrings[0].started && (vu->dev->ops->n_queues == 1 || vu->vrings[1].started);
}

/* A ring runs once it has addresses, a kick and is enabled. */
static int ring_ready(struct vhost_user *vu, unsigned int i, struct error *err)
{
	struct vring *v = &vu->vrings[i];
	int r;

	if (v->started || !v->enabled || !v->has_addr || v->kick_fd < 0)
		return 0;
	r = start_ring(vu, i, err);
	if (r < 0)
		return r;
	if (all_started(vu) && !vu->dev->active) {
		vu->dev->negotiated = vu->features;
		virtio_device_activate(vu->dev);
	} else {
		virtio_device_notify(vu->dev, i);
	}
	return 0;
}

/* The driver has gone (or the guest reboots): all rings end, their places are kept for
 * GET_VRING_BASE. */
static void stop_device(struct vhost_user *vu)
{
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		if (vu->vrings[i].started)
			vu->vrings[i].base = vu->dev->queues[i].next_avail;
		vu->vrings[i].started = false;
	}
	virtio_device_reset(vu->dev);
}

static void on_kick(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct vring *v = data;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR) {
		loop_source_free(v->kick);
		v->kick = NULL;
		return;
	}
	if (v->started)
		virtio_device_notify(v->vu->dev, (unsigned int)(v - v->vu->vrings));
}

static void signal_fd(int fd)
{
	const uint64_t one = 1;

	/* Full means that the other side has one to read already. */
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

static void interrupt(void *data, unsigned int queue)
{
	struct vhost_user *vu = data;

	signal_fd(vu->vrings[queue].call_fd);
}

/* The protocol cannot set DEVICE_NEEDS_RESET; the error descriptor is what there is. */
static void needs_reset(void *data, const char *why)
{
	struct vhost_user *vu = data;

	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++)
		signal_fd(vu->vrings[i].err_fd);
}

/* ---- messages */

/* NULL: there is no such ring; the caller returns -EPROTO. */
static struct vring *vring_of(struct vhost_user *vu, uint32_t index, struct error *err)
{
	if (index < vu->dev->ops->n_queues)
		return &vu->vrings[index];
	error_set(err, EPROTO, "vhost-user: ring %u of a device with %u", index,
	          vu->dev->ops->n_queues);
	return NULL;
}

static int reply_u64(struct vhost_user *vu, struct vhost_user_message *m, uint64_t v,
                     struct error *err)
{
	uint8_t bytes[8];

	put_le64(bytes, v);
	return vhost_user_reply(vu->fd, m->request, bytes, sizeof(bytes), err);
}

static int get_features(struct vhost_user *vu, struct vhost_user_message *m, struct error *err)
{
	return reply_u64(
	    vu, m, virtio_device_features(vu->dev) | 1ull << VHOST_USER_F_PROTOCOL_FEATURES, err);
}

static int set_features(struct vhost_user *vu, struct vhost_user_message *m, struct error *err)
{
	uint64_t wanted = get_le64(m->payload);
	uint64_t offered = virtio_device_features(vu->dev) | 1ull << VHOST_USER_F_PROTOCOL_FEATURES;

	if (wanted & ~offered)
		return error_set(err, EPROTO, "vhost-user: features 0x%" PRIx64 " were not offered",
		                 wanted & ~offered);
	vu->features = wanted;
	/* Without protocol features rings are enabled from the start. */
	if (!(wanted & 1ull << VHOST_USER_F_PROTOCOL_FEATURES))
		for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++)
			vu->vrings[i].enabled = true;
	return 0;
}

static int get_protocol_features(struct vhost_user *vu, struct vhost_user_message *m,
                                 struct error *err)
{
	return reply_u64(vu, m, PROTOCOL_FEATURES, err);
}

static int set_protocol_features(struct vhost_user *vu, struct vhost_user_message *m,
                                 struct error *err)
{
	vu->protocol_features = get_le64(m->payload) & PROTOCOL_FEATURES;
	return 0;
}

static int get_queue_num(struct vhost_user *vu, struct vhost_user_message *m, struct error *err)
{
	return reply_u64(vu, m, vu->dev->ops->n_queues, err);
}

static int set_owner(struct vhost_user *vu, struct vhost_user_message *m, struct error *err)
{
	return 0;
}

static int reset_owner(struct vhost_user *vu, struct vhost_user_message *m, struct error *err)
{
	stop_device(vu);
	return 0;
}

static int set_vring_num(struct vhost_user *vu, struct vhost_user_message *m, struct error *err)
{
	struct vring *v = vring_of(vu, get_le32(m->payload), err);

	if (!v)
		return -EPROTO;
	v->num = get_le32(m->payload + 4);
	return 0;
}

static int set_vring_base(struct vhost_user *vu, struct vhost_user_message *m, struct error *err)
{
	struct vring *v = vring_of(vu, get_le32(m->payload), err);

	if (!v)
		return -EPROTO;
	if (get_le32(m->payload + 4) > UINT16_MAX)
		return error_set(err, EPROTO, "vhost-user: ring base %u", get_le32(m->payload + 4));
	v->base = get_le16(m->payload + 4);
	return 0;
}

static int get_vring_base(struct vhost_user *vu, struct vhost_user_message *m, struct error *err)
{
	uint8_t state[8];
	struct vring *v = vring_of(vu, get_le32(m->payload), err);

	if (!v)
		return -EPROTO;
	stop_device(vu);
	loop_source_free(v->kick);
	v->kick = NULL;
	close_fd(&v->kick_fd);
	put_le32(state, get_le32(m->payload));
	put_le32(state + 4, v->base);
	return vhost_user_reply(vu->fd, m->request, state, sizeof(state), err);
}

static int set_vring_addr(struct vhost_user *vu, struct vhost_user_message *m, struct error *err)
{
	struct reader p = reader_init(m->payload, m->size);
	uint32_t index = reader_le32(&p);
	struct vring *v = vring_of(vu, index, err);

	if (!v)
		return -EPROTO;
	reader_skip(&p, 4); /* flags: logging of dirty pages, which is not offered */
	v->desc = reader_le64(&p);
	v->used = reader_le64(&p);
	v->avail = reader_le64(&p);
	v->has_addr = true;
	if (!v->started)
		return ring_ready(vu, index, err);
	v->base = vu->dev->queues[index].next_avail;
	return start_ring(vu, index, err);
}

static int set_vring_enable(struct vhost_user *vu, struct vhost_user_message *m, struct error *err)
{
	uint32_t index = get_le32(m->payload);
	struct vring *v = vring_of(vu, index, err);

	if (!v)
		return -EPROTO;
	v->enabled = get_le32(m->payload + 4) != 0;
	if (!v->enabled && v->started)
		stop_device(vu);
	return ring_ready(vu, index, err);
}

/* The ring of _KICK, _CALL or _ERR and its descriptor (or -1); NULL: the caller returns
 * -EPROTO. */
static struct vring *take_vring_fd(struct vhost_user *vu, struct vhost_user_message *m, int *fd,
                                   struct error *err)
{
	uint64_t value = get_le64(m->payload);
	struct vring *v = vring_of(vu, (uint32_t)(value & VRING_INDEX_MASK), err);

	if (!v)
		return NULL;
	if (m->n_fds != (value & VHOST_USER_VRING_NO_FD ? 0 : 1)) {
		error_set(err, EPROTO, "vhost-user: message %u came with %u descriptors",
		          m->request, m->n_fds);
		return NULL;
	}
	*fd = -1;
	if (m->n_fds == 1) {
		int r = fs_set_nonblock(m->fds[0], true);

		if (r < 0) {
			error_errno(err, -r, "vhost-user: descriptor of message %u", m->request);
			return NULL;
		}
		*fd = steal_fd(&m->fds[0]);
	}
	return v;
}

static int set_vring_kick(struct vhost_user *vu, struct vhost_user_message *m, struct error *err)
{
	int fd, r;
	struct vring *v = take_vring_fd(vu, m, &fd, err);

	if (!v)
		return -EPROTO;
	loop_source_free(v->kick);
	v->kick = NULL;
	close_fd(&v->kick_fd);
	if (fd < 0)
		return error_set(err, EPROTO, "vhost-user: polling a ring is not supported");
	v->kick_fd = fd;
	r = loop_add_fd(vu->loop, fd, EPOLLIN, on_kick, v, &v->kick, err);
	if (r < 0)
		return error_prefix(err, r, "vhost-user: kick of a ring");
	return ring_ready(vu, (unsigned int)(v - vu->vrings), err);
}

static int set_vring_call(struct vhost_user *vu, struct vhost_user_message *m, struct error *err)
{
	int fd;
	struct vring *v = take_vring_fd(vu, m, &fd, err);

	if (!v)
		return -EPROTO;
	close_fd(&v->call_fd);
	v->call_fd = fd;
	/* Buffers may have been used before there was a way to say so. */
	if (v->started)
		signal_fd(fd);
	return 0;
}

static int set_vring_err(struct vhost_user *vu, struct vhost_user_message *m, struct error *err)
{
	int fd;
	struct vring *v = take_vring_fd(vu, m, &fd, err);

	if (!v)
		return -EPROTO;
	close_fd(&v->err_fd);
	v->err_fd = fd;
	return 0;
}

static int get_config(struct vhost_user *vu, struct vhost_user_message *m, struct error *err)
{
	struct reader p = reader_init(m->payload, m->size);
	uint32_t offset = reader_le32(&p), size = reader_le32(&p);

	if (size > CONFIG_SIZE_MAX || m->size != 12 + size)
		return error_set(err, EPROTO, "vhost-user: configuration of %u bytes in %u", size,
		                 m->size);
	virtio_device_config_read(vu->dev, offset, m->payload + 12, size);
	return vhost_user_reply(vu->fd, m->request, m->payload, m->size, err);
}

/* What each message must look like, and who answers it. */
static const struct {
	int (*handle)(struct vhost_user *vu, struct vhost_user_message *m, struct error *err);
	uint16_t min_size; /* bytes of payload */
	bool replies;      /* has an answer of its own */
	bool takes_fds;
} messages[VHOST_USER_REQUESTS] = {
    [VHOST_USER_GET_FEATURES] = {get_features, 0, true, false},
    [VHOST_USER_SET_FEATURES] = {set_features, 8, false, false},
    [VHOST_USER_SET_OWNER] = {set_owner, 0, false, false},
    [VHOST_USER_RESET_OWNER] = {reset_owner, 0, false, false},
    [VHOST_USER_SET_MEM_TABLE] = {set_mem_table, 8, false, true},
    [VHOST_USER_SET_VRING_NUM] = {set_vring_num, 8, false, false},
    [VHOST_USER_SET_VRING_ADDR] = {set_vring_addr, 40, false, false},
    [VHOST_USER_SET_VRING_BASE] = {set_vring_base, 8, false, false},
    [VHOST_USER_GET_VRING_BASE] = {get_vring_base, 8, true, false},
    [VHOST_USER_SET_VRING_KICK] = {set_vring_kick, 8, false, true},
    [VHOST_USER_SET_VRING_CALL] = {set_vring_call, 8, false, true},
    [VHOST_USER_SET_VRING_ERR] = {set_vring_err, 8, false, true},
    [VHOST_USER_GET_PROTOCOL_FEATURES] = {get_protocol_features, 0, true, false},
    [VHOST_USER_SET_PROTOCOL_FEATURES] = {set_protocol_features, 8, false, false},
    [VHOST_USER_GET_QUEUE_NUM] = {get_queue_num, 0, true, false},
    [VHOST_USER_SET_VRING_ENABLE] = {set_vring_enable, 8, false, false},
    [VHOST_USER_GET_CONFIG] = {get_config, 12, true, false},
};

static int handle(struct vhost_user *vu, struct vhost_user_message *m, struct error *err)
{
	bool ack = m->flags & VHOST_USER_F_NEED_REPLY &&
	           vu->protocol_features & 1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK;
	int r;

	if (m->request >= VHOST_USER_REQUESTS || !messages[m->request].handle)
		return error_set(err, ENOSYS, "vhost-user: message %u is not known", m->request);
	if (m->size < messages[m->request].min_size)
		return error_set(err, EPROTO, "vhost-user: message %u has only %u bytes",
		                 m->request, m->size);
	if (m->n_fds > 0 && !messages[m->request].takes_fds)
		return error_set(err, EPROTO, "vhost-user: message %u came with descriptors",
		                 m->request);
	r = messages[m->request].handle(vu, m, err);
	if (r == 0 && ack && !messages[m->request].replies)
		r = reply_u64(vu, m, 0, err);
	return r;
}

static void end(struct vhost_user *vu, const struct error *err)
{
	loop_source_free(vu->src);
	vu->src = NULL;
	loop_source_free(vu->deadline);
	vu->deadline = NULL;
	vu->ended(vu->data, err);
}

static void on_message(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct vhost_user *vu = data;
	struct vhost_user_message m = {0};
	struct error err = ERROR_INIT;
	int r = vhost_user_read(&vu->input, fd, &m, &err);

	if (r == 0)
		return;
	loop_source_free(vu->deadline);
	vu->deadline = NULL;
	if (r > 0)
		r = handle(vu, &m, &err);
	vhost_user_message_done(&m);
	if (r == -ENODATA)
		error_clear(&err);
	if (r < 0)
		end(vu, &err);
}

static void too_late(struct loop_source *src, void *data)
{
	struct error err = ERROR_INIT;

	error_set(&err, ETIMEDOUT, "vhost-user: the monitor said nothing for %d s",
	          VHOST_USER_FIRST_MESSAGE_TIMEOUT / 1000);
	end(data, &err);
}

int vhost_user_new(struct vhost_user **out, struct loop *loop, int fd, struct virtio_device *dev,
                   vhost_user_ended_fn ended, void *data, struct error *err)
{
	_cleanup_vhost_user_ struct vhost_user *vu = calloc(1, sizeof(*vu));
	int r;

	if (!vu)
		return error_set(err, ENOMEM, "no memory for the vhost-user back end");
	vu->loop = loop;
	vu->fd = fd;
	vu->dev = dev;
	vu->ended = ended;
	vu->data = data;
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		struct vring *v = &vu->vrings[i];

		v->vu = vu;
		v->kick_fd = v->call_fd = v->err_fd = -1;
	}
	dev->transport = (struct virtio_transport){
	    .interrupt = interrupt, .needs_reset = needs_reset, .data = vu};
	r = loop_add_fd(loop, fd, EPOLLIN, on_message, vu, &vu->src, err);
	if (r == 0)
		r = loop_add_timer(loop, VHOST_USER_FIRST_MESSAGE_TIMEOUT, too_late, vu,
		                   &vu->deadline, err);
	if (r < 0)
		return r;
	*out = steal_ptr(&vu);
	return 0;
}

void vhost_user_free(struct vhost_user *vu)
{
	if (!vu)
		return;
	virtio_device_reset(vu->dev);
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		struct vring *v = &vu->vrings[i];

		loop_source_free(v->kick);
		close_fd(&v->kick_fd);
		close_fd(&v->call_fd);
		close_fd(&v->err_fd);
	}
	loop_source_free(vu->src);
	loop_source_free(vu->deadline);
	vhost_user_input_clear(&vu->input);
	guest_memory_clear(&vu->memory);
	free(vu);
}
