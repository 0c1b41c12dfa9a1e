/* SPDX-License-Identifier: Apache-2.0 */
/* rng: the virtio entropy device (virtio 1.2 §5.4). */
#include "rng.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "host-shim/vmm/devices/rate.h"
#include "host-shim/vmm/virtio/iov.h"
#include "host-shim/vmm/virtio/later.h"

#define REQUEST_MAX     4096u /* bytes of one request; §5.4.6.2 allows less than was asked */
#define REQUESTS_A_TURN 64
#define WAIT_MS         20 /* until the rate is looked at again */

struct rng {
	struct virtio_device dev;
	struct rate rate;
	struct later again;
	bool waiting; /* for the rate */
};

static struct rng *rng_of(struct virtio_device *dev)
{
	return (struct rng *)dev;
}

/* Fills in place; what can be had, 0 when there is none now. */
static size_t fill(const struct iovec *iov, size_t n)
{
	size_t done = 0;

	for (size_t i = 0; i < n; i++) {
		ssize_t r = getrandom(iov[i].iov_base, iov[i].iov_len, GRND_NONBLOCK);

		if (r > 0)
			done += (size_t)r;
		if (r < 0 || (size_t)r < iov[i].iov_len)
			break;
	}
	return done;
}

static enum virtio_took take(struct virtio_device *dev, unsigned int queue,
                             struct virtqueue_chain *c)
{
	struct rng *g = rng_of(dev);
	struct iovec pieces[32];
	size_t want = c->write_size < REQUEST_MAX ? c->write_size : REQUEST_MAX, n, got;

	if (want == 0) {
		virtio_device_broken(dev, "an entropy request has nothing to write to (5.4.6.1)");
		return VIRTIO_BROKEN;
	}
	want = (size_t)rate_allows(&g->rate, want, loop_now_ms());
	n = iov_slice(chain_writable(c), c->n_write, 0, want, pieces, 32, NULL);
	got = fill(pieces, n);
	if (got == 0) {
		g->waiting = true;
		return VIRTIO_LATER;
	}
	rate_take(&g->rate, got);
	virtqueue_push(&dev->queues[0], c->head, (uint32_t)got);
	return VIRTIO_TAKEN;
}

static void run(struct rng *g)
{
	g->waiting = false;
	if (virtio_device_drain(&g->dev, 0, REQUESTS_A_TURN, take))
		later_set(&g->again, 1);
	else if (g->waiting)
		later_set(&g->again, WAIT_MS);
}

static void run_again(struct loop_source *src, void *data)
{
	run(data);
}

static void config_read(struct virtio_device *dev, size_t offset, void *to, size_t size)
{
	virtio_config_copy(NULL, 0, offset, to, size); /* none, §5.4.4 */
}

static void queue_notify(struct virtio_device *dev, unsigned int queue)
{
	/* While it waits for the rate a flood of notifications changes nothing. */
	if (!rng_of(dev)->waiting)
		run(rng_of(dev));
}

static void reset(struct virtio_device *dev)
{
	later_clear(&rng_of(dev)->again);
	rng_of(dev)->waiting = false;
}

static void rng_free(struct virtio_device *dev)
{
	reset(dev);
	free(rng_of(dev));
}

static const struct virtio_device_ops rng_ops = {
    .name = "rng",
    .id = VIRTIO_ID_RNG,
    .n_queues = 1,
    .features = VIRTIO_COMMON_FEATURES,
    .queue_size = 64,
    .config_read = config_read,
    .queue_notify = queue_notify,
    .reset = reset,
    .free = rng_free,
};

int rng_device_new(struct virtio_device **out, struct loop *loop, uint64_t rate, struct error *err)
{
	struct rng *g = calloc(1, sizeof(*g));

	if (!g)
		return error_set(err, ENOMEM, "no memory for the entropy device");
	g->dev.ops = &rng_ops;
	g->rate = rate_init(rate, loop_now_ms());
	g->again = (struct later){.loop = loop, .fn = run_again, .data = g};
	*out = &g->dev;
	return 0;
}
