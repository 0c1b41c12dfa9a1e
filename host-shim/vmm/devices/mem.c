/* SPDX-License-Identifier: Apache-2.0 */
/* mem: the virtio memory device (virtio 1.2 §5.15). */
#include "mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host-shim/vmm/devices/discard.h"
#include "host-shim/vmm/virtio/iov.h"
#include "host-shim/vmm/virtio/later.h"
#include "lib/base/bytes.h"

#define F_UNPLUGGED_INACCESSIBLE 1

#define REQ_PLUG       0
#define REQ_UNPLUG     1
#define REQ_UNPLUG_ALL 2
#define REQ_STATE      3
#define REQ_SIZE       24u /* le16 type, le16[3], le64 addr, le16 nb_blocks, le16[3] */

#define RESP_ACK   0
#define RESP_NACK  1
#define RESP_BUSY  2
#define RESP_ERROR 3
#define RESP_SIZE  10u /* le16 type, le16[3], le16 state */

#define STATE_PLUGGED   0
#define STATE_UNPLUGGED 1
#define STATE_MIXED     2

#define CONFIG_SIZE     56
#define REQUESTS_A_TURN 1 /* it may be thousands of system calls */

struct mem {
	struct virtio_device dev;
	struct mem_config config;
	unsigned int shift;
	uint64_t plugged, requested; /* bytes */
	struct later again;
	size_t n_blocks;
	uint8_t blocks[]; /* 1: plugged */
};

static struct mem *mem_of(struct virtio_device *dev)
{
	return (struct mem *)dev;
}

/* ---- blocks */

struct blocks {
	size_t first, n;
};

/* How many of them are plugged. */
static size_t count_plugged(const struct mem *m, struct blocks k)
{
	size_t n = 0;

	for (size_t i = 0; i < k.n; i++)
		n += m->blocks[k.first + i];
	return n;
}

/* All of them are in the other state now. 0 or a negative errno, nothing changed then. */
static int set_blocks(struct mem *m, struct blocks k, bool on)
{
	uint64_t at = (uint64_t)k.first << m->shift, size = (uint64_t)k.n << m->shift;
	int r = 0;

	if (!on)
		memset(m->blocks + k.first, 0, k.n);
	if (m->config.set)
		r = m->config.set(m->config.data, m->config.gpa + at, size, on);
	if (r < 0) {
		memset(m->blocks + k.first, !on, k.n);
		return r;
	}
	/* When plugged, too: a device may have written to it since by a pointer of before. */
	discard_pages(m->config.host + at, size);
	memset(m->blocks + k.first, on, k.n);
	m->plugged = on ? m->plugged + size : m->plugged - size;
	virtio_device_config_count(&m->dev); /* §5.15.4.2: without a notification */
	return 0;
}

static int unplug_all(struct mem *m)
{
	struct blocks k = {0, 0};

	for (; k.first < m->n_blocks; k.first += k.n ? k.n : 1) {
		int r;

		for (k.n = 0; k.first + k.n < m->n_blocks && m->blocks[k.first + k.n];)
			k.n++;
		r = k.n ? set_blocks(m, k, false) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- requests */

/* The blocks that a request names: inside the region, at least one, at a block's address. */
static bool parse_blocks(const struct mem *m, const uint8_t *req, struct blocks *k)
{
	uint64_t addr = get_le64(req + 8), at;
	uint16_t n = get_le16(req + 16);

	if (addr < m->config.gpa || addr % m->config.block || n == 0)
		return false;
	at = (addr - m->config.gpa) >> m->shift;
	if (at >= m->n_blocks || n > m->n_blocks - at)
		return false;
	*k = (struct blocks){(size_t)at, n};
	return true;
}

static uint16_t plug(struct mem *m, const uint8_t *req, uint8_t *state)
{
	struct blocks k;

	if (!parse_blocks(m, req, &k) || count_plugged(m, k) > 0)
		return RESP_ERROR;
	if (m->plugged + ((uint64_t)k.n << m->shift) > m->requested)
		return RESP_NACK;
	return set_blocks(m, k, true) < 0 ? RESP_BUSY : RESP_ACK;
}

static uint16_t unplug(struct mem *m, const uint8_t *req, uint8_t *state)
{
	struct blocks k;

	if (!parse_blocks(m, req, &k) || count_plugged(m, k) < k.n)
		return RESP_ERROR;
	return set_blocks(m, k, false) < 0 ? RESP_BUSY : RESP_ACK;
}

static uint16_t unplug_everything(struct mem *m, const uint8_t *req, uint8_t *state)
{
	return unplug_all(m) < 0 ? RESP_BUSY : RESP_ACK;
}

static uint16_t tell_state(struct mem *m, const uint8_t *req, uint8_t *state)
{
	struct blocks k;
	size_t n;

	if (!parse_blocks(m, req, &k))
		return RESP_ERROR;
	n = count_plugged(m, k);
	put_le16(state, n == 0 ? STATE_UNPLUGGED : n == k.n ? STATE_PLUGGED : STATE_MIXED);
	return RESP_ACK;
}

static uint16_t (*const requests[])(struct mem *m, const uint8_t *req, uint8_t *state) = {
    [REQ_PLUG] = plug,
    [REQ_UNPLUG] = unplug,
    [REQ_UNPLUG_ALL] = unplug_everything,
    [REQ_STATE] = tell_state,
};

static enum virtio_took take(struct virtio_device *dev, unsigned int queue,
                             struct virtqueue_chain *c)
{
	struct mem *m = mem_of(dev);
	uint8_t req[REQ_SIZE], resp[RESP_SIZE] = {0};
	uint16_t answer = RESP_ERROR;

	if (c->write_size < RESP_SIZE) {
		virtio_device_broken(dev, "a memory request has no room for its answer (5.15.6)");
		return VIRTIO_BROKEN;
	}
	if (iov_read(chain_readable(c), c->n_read, 0, req, sizeof(req)) == sizeof(req) &&
	    get_le16(req) <= REQ_STATE)
		answer = requests[get_le16(req)](m, req, resp + 8);
	put_le16(resp, answer);
	iov_write(chain_writable(c), c->n_write, 0, resp, sizeof(resp));
	virtqueue_push(&dev->queues[0], c->head, RESP_SIZE);
	return VIRTIO_TAKEN;
}

static void run(struct mem *m)
{
	if (virtio_device_drain(&m->dev, 0, REQUESTS_A_TURN, take))
		later_set(&m->again, 1);
}

static void run_again(struct loop_source *src, void *data)
{
	run(data);
}

/* ---- the device model */

static void config_read(struct virtio_device *dev, size_t offset, void *to, size_t size)
{
	const struct mem *m = mem_of(dev);
	uint8_t c[CONFIG_SIZE] = {0}; /* §5.15.4 */

	put_le64(c, m->config.block);
	put_le64(c + 16, m->config.gpa);
	put_le64(c + 24, m->config.size);
	put_le64(c + 32, m->config.size); /* all of it is usable */
	put_le64(c + 40, m->plugged);
	put_le64(c + 48, m->requested);
	virtio_config_copy(c, sizeof(c), offset, to, size);
}

static void activate(struct virtio_device *dev)
{
	/* §5.15.5.2: the device may fail to operate further. There is nothing to be read in
	 * unplugged blocks. */
	if (!virtio_device_has(dev, F_UNPLUGGED_INACCESSIBLE)) {
		virtio_device_broken(dev, "the driver reads unplugged memory (5.15.5.2)");
		return;
	}
	run(mem_of(dev));
}

static void queue_notify(struct virtio_device *dev, unsigned int queue)
{
	run(mem_of(dev));
}

/* §5.15.5.2: the blocks stay as they are. */
static void reset(struct virtio_device *dev)
{
	later_clear(&mem_of(dev)->again);
}

static void save(struct virtio_device *dev, struct buffer *to)
{
	const struct mem *m = mem_of(dev);

	buffer_le64(to, m->requested);
	buffer_append(to, m->blocks, m->n_blocks);
}

/* The blocks' contents are the snapshot's; the machine is told which ones the guest has. */
static int restore(struct virtio_device *dev, struct reader *from, struct error *err)
{
	struct mem *m = mem_of(dev);
	uint64_t requested = reader_le64(from);
	const uint8_t *blocks = reader_bytes(from, m->n_blocks);
	int r = 0;

	if (m->plugged)
		return error_set(err, EPROTO, "the device is not a new one");
	if (!blocks || requested % m->config.block || requested > m->config.size)
		return error_set(err, EPROTO, "its size or its blocks");
	for (size_t i = 0; i < m->n_blocks && r == 0; i++) {
		if (blocks[i] > 1)
			return error_set(err, EPROTO, "block %zu in state %u", i, blocks[i]);
		if (!blocks[i])
			continue;
		if (m->config.set)
			r = m->config.set(m->config.data, m->config.gpa + ((uint64_t)i << m->shift),
			                  m->config.block, true);
		if (r < 0)
			return error_errno(err, -r, "plugging block %zu", i);
		m->blocks[i] = 1;
		m->plugged += m->config.block;
	}
	m->requested = requested;
	return 0;
}

static void mem_free(struct virtio_device *dev)
{
	reset(dev);
	free(mem_of(dev));
}

static const struct virtio_device_ops mem_ops = {
    .name = "mem",
    .id = VIRTIO_ID_MEM,
    .n_queues = 1,
    .features = VIRTIO_COMMON_FEATURES | 1ull << F_UNPLUGGED_INACCESSIBLE,
    .queue_size = 64,
    .config_read = config_read,
    .activate = activate,
    .queue_notify = queue_notify,
    .reset = reset,
    .free = mem_free,
    .save = save,
    .restore = restore,
};

/* ---- the host's side */

int mem_device_add_memory(struct virtio_device *dev, struct guest_memory *map, struct error *err)
{
	struct mem *m = mem_of(dev);

	return guest_memory_add_blocks(map, m->config.gpa, m->config.size, m->config.host,
	                               m->blocks, m->shift, err);
}

int mem_device_resize(struct virtio_device *dev, uint64_t bytes, struct error *err)
{
	struct mem *m = mem_of(dev);

	if (bytes % m->config.block || bytes > m->config.size)
		return error_set(err, EINVAL,
		                 "memory device: %" PRIu64 " bytes is no multiple of %" PRIu64
		                 " up to %" PRIu64,
		                 bytes, m->config.block, m->config.size);
	if (bytes == m->requested)
		return 0;
	m->requested = bytes;
	virtio_device_config_changed(dev);
	return 0;
}

uint64_t mem_device_plugged(const struct virtio_device *dev)
{
	return ((const struct mem *)dev)->plugged;
}

void mem_device_system_reset(struct virtio_device *dev)
{
	unplug_all(mem_of(dev));
}

int mem_device_new(struct virtio_device **out, struct loop *loop, const struct mem_config *config,
                   struct error *err)
{
	struct mem *m;
	uint64_t block = config->block;

	if (block < MEM_BLOCK_MIN || block & (block - 1) || config->size == 0 ||
	    config->size % block || config->gpa % block || config->requested % block ||
	    config->requested > config->size || config->gpa + config->size < config->gpa)
		return error_set(err, EINVAL,
		                 "memory device: address 0x%" PRIx64 ", size 0x%" PRIx64
		                 " and request 0x%" PRIx64
		                 " must be multiples of blocks of 0x%" PRIx64
		                 " (a power of two from 2 MiB)",
		                 config->gpa, config->size, config->requested, block);
	m = calloc(1, sizeof(*m) + config->size / block);
	if (!m)
		return error_set(err, ENOMEM, "no memory for the memory device");
	m->dev.ops = &mem_ops;
	m->config = *config;
	m->shift = (unsigned int)__builtin_ctzll(block);
	m->n_blocks = (size_t)(config->size / block);
	m->requested = config->requested;
	m->again = (struct later){.loop = loop, .fn = run_again, .data = m};
	*out = &m->dev;
	return 0;
}
