/* SPDX-License-Identifier: Apache-2.0 */
/* blk: the virtio block device (virtio 1.2 §5.2): its queue, its configuration, its state. */
#include "blk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-shim/vmm/devices/blk_request.h"
#include "host-shim/vmm/virtio/later.h"
#include "lib/base/bytes.h"

#define F_SIZE_MAX     1
#define F_SEG_MAX      2
#define F_RO           5
#define F_BLK_SIZE     6
#define F_FLUSH        9
#define F_TOPOLOGY     10
#define F_CONFIG_WCE   11
#define F_DISCARD      13
#define F_WRITE_ZEROES 14

#define QUEUE_SIZE      128
#define SEG_MAX         (QUEUE_SIZE - 2) /* beside header and status */
#define SEGMENT_MAX     (1u << 20)
#define IN_FLIGHT_MAX   64  /* requests that have memory here */
#define REQUESTS_A_TURN 256 /* before other sources of the loop get their turn */

/* struct virtio_blk_config, §5.2.4, as far as the features that are offered reach. */
#define CONFIG_SIZE      60
#define CONFIG_WRITEBACK 32

struct blk {
	struct virtio_device dev;
	struct io_pool *pool;
	struct blk_limits limits;
	char serial[BLK_SERIAL_MAX + 1];
	int writeback; /* what the driver wrote; -1: nothing */
	unsigned int in_flight;
	bool all_wait; /* this file has no reads that do not */
	struct later again;
};

static struct blk *blk_of(struct virtio_device *dev)
{
	return (struct blk *)dev;
}

/* §5.2.5.2 and §5.2.6.2: whether writes may stay volatile until a flush. */
static bool is_writeback(const struct blk *b)
{
	bool flush = virtio_device_has(&b->dev, F_FLUSH);

	if (virtio_device_has(&b->dev, F_CONFIG_WCE) && b->writeback >= 0)
		return b->writeback;
	return flush;
}

static void done(struct io_job *job);

/* Two wake-ups of threads are many times the cost of a copy from the page cache. */
static bool is_done_now(struct blk *b, struct blk_request *r)
{
	int n = b->all_wait ? 0 : blk_request_now(r);

	b->all_wait |= n < 0;
	return n > 0;
}

static enum virtio_took take(struct virtio_device *dev, unsigned int queue,
                             struct virtqueue_chain *c)
{
	struct blk *b = blk_of(dev);
	struct blk_request *r = NULL;
	uint32_t written = 0;

	if (b->in_flight == IN_FLIGHT_MAX)
		return VIRTIO_LATER;
	b->limits.stable = !is_writeback(b);
	switch (blk_request_parse(c, &b->limits, &r, &written)) {
	case BLK_ANSWERED:
		virtqueue_push(&dev->queues[0], c->head, written);
		return VIRTIO_TAKEN;
	case BLK_WORK:
		if (is_done_now(b, r)) {
			virtqueue_push(&dev->queues[0], r->head, blk_request_finish(r));
			free(r);
			return VIRTIO_TAKEN;
		}
		r->job.owner = dev;
		r->job.done = done;
		b->in_flight++;
		io_pool_submit(b->pool, &r->job);
		return VIRTIO_TAKEN;
	case BLK_NO_STATUS:
		break;
	}
	virtio_device_broken(dev, "a block request has no room for its status (5.2.6)");
	return VIRTIO_BROKEN;
}

static void run(struct blk *b)
{
	if (virtio_device_drain(&b->dev, 0, REQUESTS_A_TURN, take))
		later_set(&b->again, 1);
}

static void run_again(struct loop_source *src, void *data)
{
	run(data);
}

static void done(struct io_job *job)
{
	struct blk_request *r = (struct blk_request *)job;
	struct blk *b = (struct blk *)r->job.owner;
	bool waiting = b->in_flight == IN_FLIGHT_MAX;

	b->in_flight--;
	/* After a reset the memory is the driver's again, the status byte too. */
	if (b->dev.active && !b->dev.needs_reset) {
		virtqueue_push(&b->dev.queues[0], r->head, blk_request_finish(r));
		virtio_device_publish(&b->dev, 0);
		if (waiting)
			run(b);
	}
	free(r);
}

/* ---- configuration */

static void config_read(struct virtio_device *dev, size_t offset, void *to, size_t size)
{
	struct blk *b = blk_of(dev);
	uint8_t c[CONFIG_SIZE] = {0};

	put_le64(c, b->limits.capacity / BLK_SECTOR);
	put_le32(c + 8, SEGMENT_MAX);
	put_le32(c + 12, SEG_MAX);
	put_le32(c + 20, BLK_SECTOR);
	c[24] = 3;           /* 4096 bytes are a physical block */
	put_le16(c + 26, 8); /* and the least to do at once */
	c[CONFIG_WRITEBACK] = is_writeback(b);
	if (!b->limits.readonly) {
		put_le32(c + 36, BLK_DISCARD_SECTORS_MAX);
		put_le32(c + 40, BLK_RANGES_MAX);
		put_le32(c + 44, 8);
		put_le32(c + 48, BLK_ZEROES_SECTORS_MAX);
		put_le32(c + 52, BLK_RANGES_MAX);
		c[56] = 1;
	}
	virtio_config_copy(c, sizeof(c), offset, to, size);
}

static void config_write(struct virtio_device *dev, size_t offset, const void *from, size_t size)
{
	const uint8_t *bytes = from;

	if (offset <= CONFIG_WRITEBACK && size > CONFIG_WRITEBACK - offset &&
	    virtio_device_has(dev, F_CONFIG_WCE))
		blk_of(dev)->writeback = bytes[CONFIG_WRITEBACK - offset] & 1;
}

/* ---- the device model */

static void queue_notify(struct virtio_device *dev, unsigned int queue)
{
	run(blk_of(dev));
}

static void reset(struct virtio_device *dev)
{
	struct blk *b = blk_of(dev);

	io_pool_wait(b->pool, dev);
	later_clear(&b->again);
	b->writeback = -1;
}

static void quiesce(struct virtio_device *dev)
{
	io_pool_wait(blk_of(dev)->pool, dev);
}

/* What the driver made of the cache mode. */
static void save(struct virtio_device *dev, struct buffer *to)
{
	buffer_le32(to, (uint32_t)blk_of(dev)->writeback);
}

static int restore(struct virtio_device *dev, struct reader *from, struct error *err)
{
	int mode = (int)reader_le32(from);

	if (mode < -1 || mode > 1)
		return error_set(err, EPROTO, "cache mode %d", mode);
	blk_of(dev)->writeback = mode;
	return 0;
}

static void blk_free(struct virtio_device *dev)
{
	dev->active = false;
	reset(dev);
	free(blk_of(dev));
}

static const struct virtio_device_ops blk_ops = {
    .name = "blk",
    .id = VIRTIO_ID_BLOCK,
    .n_queues = 1,
    .features = VIRTIO_COMMON_FEATURES | 1ull << F_SIZE_MAX | 1ull << F_SEG_MAX |
                1ull << F_BLK_SIZE | 1ull << F_FLUSH | 1ull << F_TOPOLOGY,
    .queue_size = QUEUE_SIZE,
    .config_read = config_read,
    .config_write = config_write,
    .queue_notify = queue_notify,
    .reset = reset,
    .free = blk_free,
    .quiesce = quiesce,
    .save = save,
    .restore = restore,
};

/* ---- the host's side */

static int read_capacity(struct blk *b, struct error *err)
{
	struct stat st;
	off_t end;

	if (fstat(b->limits.fd, &st) < 0)
		return error_errno(err, errno, "block device: the file");
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set(err, EINVAL, "block device: neither a file nor a block device");
	end = S_ISREG(st.st_mode) ? st.st_size : lseek(b->limits.fd, 0, SEEK_END);
	if (end < 0)
		return error_errno(err, errno, "block device: its size");
	b->limits.capacity = (uint64_t)end / BLK_SECTOR * BLK_SECTOR;
	return 0;
}

int blk_device_resized(struct virtio_device *dev, struct error *err)
{
	struct blk *b = blk_of(dev);
	uint64_t before = b->limits.capacity;
	int r = read_capacity(b, err);

	if (r == 0 && b->limits.capacity != before)
		virtio_device_config_changed(dev);
	return r;
}

int blk_device_new(struct virtio_device **out, struct loop *loop, struct io_pool *pool,
                   const struct blk_config *config, struct error *err)
{
	struct blk *b = calloc(1, sizeof(*b));
	int r, flags = fcntl(config->fd, F_GETFL);

	if (!b)
		return error_set(err, ENOMEM, "no memory for the block device");
	b->dev.ops = &blk_ops;
	b->pool = pool;
	b->writeback = -1;
	b->again = (struct later){.loop = loop, .fn = run_again, .data = b};
	if (config->serial)
		strncpy(b->serial, config->serial, BLK_SERIAL_MAX);
	b->limits = (struct blk_limits){.fd = config->fd, .id = b->serial};
	b->limits.readonly = config->readonly || (flags >= 0 && (flags & O_ACCMODE) == O_RDONLY);
	b->dev.features = b->limits.readonly
	                      ? 1ull << F_RO
	                      : 1ull << F_CONFIG_WCE | 1ull << F_DISCARD | 1ull << F_WRITE_ZEROES;
	r = read_capacity(b, err);
	if (r < 0) {
		free(b);
		return r;
	}
	*out = &b->dev;
	return 0;
}
