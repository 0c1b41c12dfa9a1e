/* SPDX-License-Identifier: Apache-2.0 */
/* mmio_state: the registers and queues of a virtio-mmio transport in a snapshot. */
#include <errno.h>

#include "host-shim/vmm/virtio/mmio.h"
#include "host-shim/vmm/virtio/mmio_parts.h"
#include "lib/base/bytes.h"

enum { TAG_DEVICE = 1, TAG_REGISTERS, TAG_FEATURES, TAG_QUEUE, TAG_MODEL };
enum { REGISTERS_SIZE = 24, QUEUE_STATE_SIZE = 40 };

static int save_model(const struct virtio_mmio *m, struct snapshot_writer *w, struct error *err)
{
	_cleanup_buffer_ struct buffer state = BUFFER_INIT;
	int r = virtio_device_save(m->dev, &state, err);

	if (r == 0)
		snapshot_put(w, TAG_MODEL, state.data, state.size);
	return r;
}

int virtio_mmio_save(const struct virtio_mmio *m, struct snapshot_writer *w, struct error *err)
{
	uint8_t regs[REGISTERS_SIZE];

	snapshot_put_u32(w, TAG_DEVICE, m->dev ? m->dev->ops->id : 0);
	put_le32(regs, m->device_sel);
	put_le32(regs + 4, m->driver_sel);
	put_le32(regs + 8, m->queue_sel);
	put_le32(regs + 12, m->status);
	put_le32(regs + 16, m->isr);
	put_le32(regs + 20, m->broken);
	snapshot_put(w, TAG_REGISTERS, regs, sizeof(regs));
	snapshot_put_u64(w, TAG_FEATURES, m->driver_features);
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		const struct mmio_queue *q = &m->queues[i];
		uint8_t state[QUEUE_STATE_SIZE] = {0};

		put_le32(state, q->num);
		put_le32(state + 4, q->ready);
		put_le64(state + 8, q->desc);
		put_le64(state + 16, q->driver);
		put_le64(state + 24, q->device);
		put_le32(state + 32, m->dev ? m->dev->queues[i].next_avail : 0);
		snapshot_put(w, TAG_QUEUE, state, sizeof(state));
	}
	return m->dev ? save_model(m, w, err) : 0;
}

static int load_queue(struct virtio_mmio *m, const struct snapshot_section *s, unsigned int i,
                      struct error *err)
{
	struct mmio_queue *q = &m->queues[i];
	size_t size = 0;
	const uint8_t *p = snapshot_find(s, TAG_QUEUE, i, &size);
	struct virtqueue_layout l;

	if (!p || size != QUEUE_STATE_SIZE)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "the snapshot's %s has no queue %u",
		                      s->name, i);
	q->num = get_le32(p);
	q->ready = get_le32(p + 4) != 0;
	q->desc = get_le64(p + 8);
	q->driver = get_le64(p + 16);
	q->device = get_le64(p + 24);
	if (!q->ready)
		return 0;
	if (i >= m->dev->ops->n_queues || q->num > VIRTIO_MMIO_QUEUE_SIZE_MAX)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the snapshot's %s has a queue %u that the device has not",
		                      s->name, i);
	l = (struct virtqueue_layout){.size = (uint16_t)q->num,
	                              .desc = q->desc,
	                              .avail = q->driver,
	                              .used = q->device,
	                              .next_avail = (uint16_t)get_le32(p + 32),
	                              .features = m->driver_features};
	return virtqueue_start(&m->dev->queues[i], m->config.memory, &l, err);
}

static int load_model(struct virtio_mmio *m, const struct snapshot_section *s, struct error *err)
{
	size_t size = 0;
	const uint8_t *p = snapshot_find(s, TAG_MODEL, 0, &size);
	struct reader r = reader_init(p ? p : (const uint8_t *)"", size);

	return virtio_device_restore(m->dev, &r, err);
}

int virtio_mmio_load(struct virtio_mmio *m, const struct snapshot_section *s, struct error *err)
{
	uint8_t regs[REGISTERS_SIZE];
	uint32_t id = 0;
	int r = snapshot_get_u32(s, TAG_DEVICE, &id, err);

	if (r == 0 && id != (m->dev ? m->dev->ops->id : 0))
		r = error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "the snapshot's %s is a device of kind %u, this machine's is of %u", s->name,
		    id, m->dev ? m->dev->ops->id : 0);
	if (r == 0)
		r = snapshot_get(s, TAG_REGISTERS, regs, sizeof(regs), err);
	if (r == 0)
		r = snapshot_get_u64(s, TAG_FEATURES, &m->driver_features, err);
	if (r < 0 || !m->dev)
		return r;
	m->device_sel = get_le32(regs);
	m->driver_sel = get_le32(regs + 4);
	m->queue_sel = get_le32(regs + 8);
	m->status = get_le32(regs + 12) & STATUS_KNOWN;
	m->isr = get_le32(regs + 16) & ISR_KNOWN;
	m->broken = get_le32(regs + 20);
	if (m->status & STATUS_FEATURES_OK && !virtio_mmio_features_fit(m))
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "the snapshot's %s has features that this device does not offer", s->name);
	m->dev->negotiated = m->status & STATUS_FEATURES_OK ? m->driver_features : 0;
	r = load_model(m, s, err);
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX && r == 0; i++)
		r = load_queue(m, s, i, err);
	if (r < 0)
		return r;
	if (m->broken)
		virtio_device_broken(m->dev, "it was before it was saved");
	else if (m->status & STATUS_DRIVER_OK)
		virtio_device_activate(m->dev);
	/* Notifications on their way were lost; one too many does no harm. */
	for (unsigned int i = 0; i < m->dev->ops->n_queues; i++)
		loop_event_signal(m->queues[i].kick_fd);
	loop_event_signal(m->irq_fd);
	return 0;
}
