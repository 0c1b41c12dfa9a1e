/* SPDX-License-Identifier: Apache-2.0 */
/* device: what a virtio device model is to the transports that carry it. */
#include "device.h"

void virtio_device_free(struct virtio_device *dev)
{
	if (dev)
		dev->ops->free(dev);
}

void virtio_device_activate(struct virtio_device *dev)
{
	dev->active = true;
	dev->ops->activate(dev);
}

void virtio_device_notify(struct virtio_device *dev, unsigned int queue)
{
	if (dev->active && !dev->needs_reset && queue < dev->ops->n_queues)
		dev->ops->queue_notify(dev, queue);
}

void virtio_device_reset(struct virtio_device *dev)
{
	dev->active = false;
	dev->needs_reset = false;
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++)
		virtqueue_stop(&dev->queues[i]);
	dev->ops->reset(dev);
}

void virtio_device_publish(struct virtio_device *dev, unsigned int queue)
{
	if (virtqueue_publish(&dev->queues[queue]) && dev->transport.interrupt)
		dev->transport.interrupt(dev->transport.data, queue);
}

void virtio_device_broken(struct virtio_device *dev, const char *why)
{
	if (dev->needs_reset)
		return;
	dev->needs_reset = true;
	if (dev->transport.needs_reset)
		dev->transport.needs_reset(dev->transport.data, why);
}
