/* SPDX-License-Identifier: Apache-2.0 */
/* device: what a virtio device model is to the transports that carry it. */
#include "device.h"

#include <errno.h>
#include <string.h>

void virtio_device_free(struct virtio_device *dev)
{
	if (dev)
		dev->ops->free(dev);
}

void virtio_device_config_read(struct virtio_device *dev, size_t offset, void *to, size_t size)
{
	dev->ops->config_read(dev, offset, to, size);
}

void virtio_device_config_write(struct virtio_device *dev, size_t offset, const void *from,
                                size_t size)
{
	if (dev->ops->config_write)
		dev->ops->config_write(dev, offset, from, size);
}

void virtio_config_copy(const void *config, size_t have, size_t offset, void *to, size_t size)
{
	memset(to, 0, size);
	if (offset < have)
		memcpy(to, (const uint8_t *)config + offset,
		       size < have - offset ? size : have - offset);
}

static void notify_all(struct virtio_device *dev)
{
	for (unsigned int i = 0; i < dev->ops->n_queues; i++)
		virtio_device_notify(dev, i);
}

void virtio_device_activate(struct virtio_device *dev)
{
	dev->active = true;
	if (dev->ops->activate)
		dev->ops->activate(dev);
	else
		notify_all(dev);
}

void virtio_device_notify(struct virtio_device *dev, unsigned int queue)
{
	if (dev->active && !dev->needs_reset && queue < dev->ops->n_queues)
		dev->ops->queue_notify(dev, queue);
}

void virtio_device_stop_queue(struct virtio_device *dev, unsigned int queue)
{
	virtio_device_pause(dev);
	if (dev->ops->stop_queue)
		dev->ops->stop_queue(dev, queue);
	virtqueue_stop(&dev->queues[queue]);
	virtio_device_resume(dev);
}

void virtio_device_reset(struct virtio_device *dev)
{
	dev->active = false;
	dev->needs_reset = false;
	dev->negotiated = 0;
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++)
		virtqueue_stop(&dev->queues[i]);
	dev->ops->reset(dev);
}

void virtio_device_pause(struct virtio_device *dev)
{
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++)
		dev->queues[i].held = true;
	if (dev->ops->quiesce)
		dev->ops->quiesce(dev);
}

void virtio_device_resume(struct virtio_device *dev)
{
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++)
		dev->queues[i].held = false;
	notify_all(dev);
}

int virtio_device_save(struct virtio_device *dev, struct buffer *to, struct error *err)
{
	if (dev->ops->unsavable)
		return error_set(err, ENOTSUP,
		                 "the %s device is served by another process: its state cannot be "
		                 "saved",
		                 dev->ops->name);
	if (dev->ops->save)
		dev->ops->save(dev, to);
	return to->failed
	           ? error_set(err, ENOMEM, "no memory to save the %s device", dev->ops->name)
	           : 0;
}

int virtio_device_restore(struct virtio_device *dev, struct reader *from, struct error *err)
{
	int r = 0;

	if (dev->ops->restore)
		r = dev->ops->restore(dev, from, err);
	if (r == 0 && (from->failed || reader_left(from) > 0))
		r = error_set(err, EPROTO, "its state has another length");
	return r < 0 ? error_prefix(err, r, "restoring the %s device", dev->ops->name) : 0;
}

void virtio_device_publish(struct virtio_device *dev, unsigned int queue)
{
	if (virtqueue_publish(&dev->queues[queue]) && dev->transport.interrupt)
		dev->transport.interrupt(dev->transport.data, queue);
}

void virtio_device_config_changed(struct virtio_device *dev)
{
	virtio_device_config_count(dev);
	if (dev->transport.config_changed)
		dev->transport.config_changed(dev->transport.data);
}

void virtio_device_broken(struct virtio_device *dev, const char *why)
{
	if (dev->needs_reset)
		return;
	dev->needs_reset = true;
	if (dev->transport.needs_reset)
		dev->transport.needs_reset(dev->transport.data, why);
}

/* Each part of a ring lies in one region. */
static bool lies_in(const struct virtqueue *q, const uint8_t *host, uint64_t size)
{
	const uint8_t *parts[] = {q->desc, q->avail, q->used};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i] >= host && (uint64_t)(parts[i] - host) < size)
			return true;
	return false;
}

void virtio_device_lose_memory(struct virtio_device *dev, const uint8_t *host, uint64_t size)
{
	bool lost = false;

	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		if (!lies_in(&dev->queues[i], host, size))
			continue;
		virtqueue_stop(&dev->queues[i]);
		lost = true;
	}
	if (lost)
		virtio_device_broken(dev, "a queue lay in memory that was taken away");
}

/* Until the queue is empty; true when `budget` ended first. */
static bool drain_some(struct virtio_device *dev, unsigned int queue, unsigned int *budget,
                       virtio_take_fn take, bool *stop)
{
	struct virtqueue *q = &dev->queues[queue];
	struct virtqueue_chain c;

	while (*budget > 0) {
		int r = virtqueue_pop(q, &c);

		if (r < 0)
			virtio_device_broken(dev, q->broken);
		*stop |= r < 0;
		if (r <= 0)
			return false;
		--*budget;
		switch (take(dev, queue, &c)) {
		case VIRTIO_TAKEN:
			break;
		case VIRTIO_LATER:
			virtqueue_unpop(q);
			/* fall through */
		case VIRTIO_BROKEN:
			*stop = true;
			return false;
		}
	}
	return true;
}

bool virtio_device_drain(struct virtio_device *dev, unsigned int queue, unsigned int budget,
                         virtio_take_fn take)
{
	struct virtqueue *q = &dev->queues[queue];
	uint16_t before = q->next_used;
	bool left = false, stop = false;

	if (!dev->active || dev->needs_reset)
		return false;
	do {
		virtqueue_notify_off(q);
		left = drain_some(dev, queue, &budget, take, &stop);
	} while (!left && !stop && !dev->needs_reset && virtqueue_notify_on(q));
	if (!dev->needs_reset && q->next_used != before)
		virtio_device_publish(dev, queue);
	return left && !dev->needs_reset;
}
