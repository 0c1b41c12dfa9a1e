/* SPDX-License-Identifier: Apache-2.0 */
/* balloon: the traditional memory balloon device (virtio 1.2 §5.5). */
#include "balloon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-shim/vmm/devices/discard.h"
#include "host-shim/vmm/virtio/iov.h"
#include "host-shim/vmm/virtio/later.h"
#include "lib/base/bytes.h"

#define F_STATS_VQ       1
#define F_DEFLATE_ON_OOM 2
#define F_PAGE_POISON    4
#define F_PAGE_REPORTING 5

#define QUEUE_INFLATE 0
#define QUEUE_DEFLATE 1
#define QUEUE_STATS   2
#define QUEUES        5 /* the last one is for reports (§5.5.2) */
#define NO_QUEUE      UINT32_MAX

#define PAGE            4096u /* bytes, whatever the guest's pages are */
#define PAGES_MAX       1024u /* of one request; Linux sends 256 */
#define REQUESTS_A_TURN 16    /* each may be a thousand system calls */

/* le32 num_pages, actual, free_page_hint_cmd_id, poison_val; §5.5.4 */
#define CONFIG_SIZE   16
#define CONFIG_ACTUAL 4
#define CONFIG_POISON 12

#define STAT_SIZE 10u /* le16 tag, le64 value */
#define STATS_MAX 64u /* entries that are looked at */

struct balloon {
	struct virtio_device dev;
	struct balloon_config config;
	uint8_t space[CONFIG_SIZE];
	uint64_t discarded;
	uint64_t taken_back;                       /* bytes, while it was to hold as many */
	bool out_of_memory;                        /* that was told, since the target was set */
	unsigned int stats_queue, reporting_queue; /* or NO_QUEUE */
	bool stats_held;                           /* a buffer that asks for the next ones */
	bool stats_asked;
	uint16_t stats_head;
	void (*oom_fn)(void *data);
	void *oom_data;
	struct later again;
};

static struct balloon *balloon_of(struct virtio_device *dev)
{
	return (struct balloon *)dev;
}

/* ---- giving memory back */

/* Nothing but RAM: a writable image, too, is memory that a chain can name. */
static void discard(struct balloon *b, uint8_t *host, size_t size)
{
	for (unsigned int i = 0; i < b->config.ram->n; i++) {
		const struct guest_region *r = &b->config.ram->regions[i];

		if (r->readonly || host < r->host || host >= r->host + r->size)
			continue;
		if (size > r->size - (size_t)(host - r->host))
			size = r->size - (size_t)(host - r->host);
		if (discard_pages(host, size) == 0)
			b->discarded += size;
		return;
	}
}

/* Neighbouring pages, in whichever order they came. */
struct run {
	uint64_t first, n;
};

static void discard_run(struct balloon *b, struct run *run)
{
	struct iovec pieces[GUEST_MEMORY_REGIONS_MAX];
	int n = guest_memory_iov(b->config.ram, run->first * PAGE, run->n * PAGE, GUEST_WRITE,
	                         pieces, GUEST_MEMORY_REGIONS_MAX);

	/* Pages that are no memory are ignored. */
	for (int i = 0; i < n; i++)
		discard(b, pieces[i].iov_base, pieces[i].iov_len);
	run->n = 0;
}

static void add_page(struct balloon *b, struct run *run, uint64_t page)
{
	if (run->n > 0 && page == run->first + run->n) {
		run->n++;
	} else if (run->n > 0 && page + 1 == run->first) {
		run->first = page;
		run->n++;
	} else {
		if (run->n > 0)
			discard_run(b, run);
		*run = (struct run){page, 1};
	}
}

static void inflate(struct balloon *b, const struct virtqueue_chain *c)
{
	uint8_t pages[256 * 4];
	struct run run = {0, 0};
	size_t at = 0, got;

	while (at < PAGES_MAX * 4 &&
	       (got = iov_read(chain_readable(c), c->n_read, at, pages, sizeof(pages))) >= 4) {
		for (size_t i = 0; i + 4 <= got; i += 4)
			add_page(b, &run, get_le32(pages + i));
		at += got;
	}
	if (run.n > 0)
		discard_run(b, &run);
}

/* §5.5.6.7: with a poison value pages must keep it. */
static void report(struct balloon *b, const struct virtqueue_chain *c)
{
	if (virtio_device_has(&b->dev, F_PAGE_POISON) &&
	    (!b->config.zeros || get_le32(b->space + CONFIG_POISON) != 0))
		return;
	for (size_t i = 0; i < c->n_write; i++)
		discard(b, chain_writable(c)[i].iov_base, chain_writable(c)[i].iov_len);
}

/* ---- statistics */

static void read_stats(const struct virtqueue_chain *c, struct balloon_stats *s)
{
	uint8_t entry[STAT_SIZE];

	memset(s, 0, sizeof(*s));
	for (unsigned int i = 0; i < STATS_MAX; i++) {
		unsigned int tag;

		if (iov_read(chain_readable(c), c->n_read, i * STAT_SIZE, entry, STAT_SIZE) <
		    STAT_SIZE)
			return;
		tag = get_le16(entry);
		if (tag >= BALLOON_STATS)
			continue; /* §5.5.6.3.2: ignored */
		s->value[tag] = get_le64(entry + 2);
		s->present |= 1u << tag;
	}
}

/* The buffer is kept: using it is how the next ones are asked for (§5.5.6.3). */
static void take_stats(struct balloon *b, const struct virtqueue_chain *c)
{
	struct balloon_stats stats;

	if (b->stats_held) /* more than one at a time is not the driver's right */
		virtqueue_push(&b->dev.queues[b->stats_queue], b->stats_head, 0);
	b->stats_held = true;
	b->stats_head = c->head;
	if (!b->stats_asked)
		return;
	b->stats_asked = false;
	read_stats(c, &stats);
	b->config.stats(b->config.data, &stats);
}

int balloon_device_ask_stats(struct virtio_device *dev)
{
	struct balloon *b = balloon_of(dev);

	if (!dev->active || dev->needs_reset || !b->stats_held)
		return -EAGAIN;
	b->stats_held = false;
	b->stats_asked = true;
	virtqueue_push(&dev->queues[b->stats_queue], b->stats_head, 0);
	virtio_device_publish(dev, b->stats_queue);
	return 0;
}

/* ---- queues */

static enum virtio_took take(struct virtio_device *dev, unsigned int queue,
                             struct virtqueue_chain *c)
{
	struct balloon *b = balloon_of(dev);

	if (queue == b->stats_queue) {
		take_stats(b, c);
		return VIRTIO_TAKEN;
	}
	if (queue == b->reporting_queue)
		report(b, c);
	else if (queue == QUEUE_INFLATE)
		inflate(b, c);
	/* Deflated pages come back by being touched. */
	virtqueue_push(&dev->queues[queue], c->head, 0);
	return VIRTIO_TAKEN;
}

static void run_queue(struct balloon *b, unsigned int queue)
{
	if (virtio_device_drain(&b->dev, queue, REQUESTS_A_TURN, take))
		later_set(&b->again, 1);
}

static void run_all(struct balloon *b)
{
	for (unsigned int i = 0; i < b->dev.ops->n_queues; i++)
		run_queue(b, i);
}

static void run_again(struct loop_source *src, void *data)
{
	run_all(data);
}

/* ---- configuration */

static void config_read(struct virtio_device *dev, size_t offset, void *to, size_t size)
{
	virtio_config_copy(balloon_of(dev)->space, CONFIG_SIZE, offset, to, size);
}

/* It holds fewer pages, although it was to hold at least as many: with DEFLATE_ON_OOM a guest may
 * have them, and Linux takes them when nothing else can be freed (§5.5.6). Its deflate queue alone
 * says nothing, for pages that it moves pass there, too. */
static void note_taken_back(struct balloon *b, uint32_t before)
{
	uint32_t target = get_le32(b->space), actual = get_le32(b->space + CONFIG_ACTUAL);

	if (actual >= before || before > target || !virtio_device_has(&b->dev, F_DEFLATE_ON_OOM))
		return;
	b->taken_back += (uint64_t)(before - actual) * PAGE;
	if (b->out_of_memory || !b->oom_fn)
		return;
	b->out_of_memory = true;
	b->oom_fn(b->oom_data);
}

/* The driver may write the bytes of `actual` and `poison_val`, in any portions. */
static void config_write(struct virtio_device *dev, size_t offset, const void *from, size_t size)
{
	struct balloon *b = balloon_of(dev);
	uint32_t before = get_le32(b->space + CONFIG_ACTUAL);

	if (offset >= CONFIG_SIZE)
		return;
	for (size_t i = 0; i < size && i < CONFIG_SIZE; i++) {
		size_t at = offset + i;
		bool actual = at >= CONFIG_ACTUAL && at < CONFIG_ACTUAL + 4;
		bool poison = at >= CONFIG_POISON && at < CONFIG_POISON + 4 && !dev->active;

		if (actual || poison)
			b->space[at] = ((const uint8_t *)from)[i];
	}
	note_taken_back(b, before);
}

void balloon_device_set_target(struct virtio_device *dev, uint64_t bytes)
{
	uint64_t pages = bytes / PAGE;

	balloon_of(dev)->out_of_memory = false;
	put_le32(balloon_of(dev)->space, pages > UINT32_MAX ? UINT32_MAX : (uint32_t)pages);
	virtio_device_config_changed(dev);
}

uint64_t balloon_device_actual(const struct virtio_device *dev)
{
	const struct balloon *b = (const struct balloon *)dev;

	return (uint64_t)get_le32(b->space + CONFIG_ACTUAL) * PAGE;
}

uint64_t balloon_device_discarded(const struct virtio_device *dev)
{
	return ((const struct balloon *)dev)->discarded;
}

uint64_t balloon_device_taken_back(const struct virtio_device *dev)
{
	return ((const struct balloon *)dev)->taken_back;
}

void balloon_device_on_out_of_memory(struct virtio_device *dev, void (*fn)(void *data), void *data)
{
	balloon_of(dev)->oom_fn = fn;
	balloon_of(dev)->oom_data = data;
}

/* ---- the device model */

/* §5.5.2 counts the queues of features that are not there; Linux and QEMU move the later ones up.
 * Either way it is the one that the driver has made ready. */
static unsigned int find_reporting_queue(const struct virtio_device *dev)
{
	unsigned int i = QUEUE_STATS + virtio_device_has(dev, F_STATS_VQ);

	while (i < QUEUES && !dev->queues[i].ready)
		i++;
	return i < QUEUES && virtio_device_has(dev, F_PAGE_REPORTING) ? i : NO_QUEUE;
}

static void activate(struct virtio_device *dev)
{
	struct balloon *b = balloon_of(dev);

	b->stats_queue = virtio_device_has(dev, F_STATS_VQ) ? QUEUE_STATS : NO_QUEUE;
	b->reporting_queue = find_reporting_queue(dev);
	if (b->stats_queue == NO_QUEUE) /* a restored state may claim a buffer of it */
		b->stats_held = b->stats_asked = false;
	run_all(b);
}

static void queue_notify(struct virtio_device *dev, unsigned int queue)
{
	run_queue(balloon_of(dev), queue);
}

static void reset(struct virtio_device *dev)
{
	struct balloon *b = balloon_of(dev);

	later_clear(&b->again);
	b->stats_held = b->stats_asked = false;
	put_le32(b->space + CONFIG_ACTUAL, 0);
	put_le32(b->space + CONFIG_POISON, 0);
}

static void save(struct virtio_device *dev, struct buffer *to)
{
	struct balloon *b = balloon_of(dev);

	buffer_append(to, b->space, sizeof(b->space));
	buffer_le16(to, (uint16_t)(b->stats_held | b->stats_asked << 1));
	buffer_le16(to, b->stats_head);
}

static int restore(struct virtio_device *dev, struct reader *from, struct error *err)
{
	struct balloon *b = balloon_of(dev);
	const uint8_t *space = reader_bytes(from, sizeof(b->space));
	uint16_t flags = reader_le16(from), head = reader_le16(from);

	if (from->failed)
		return error_set(err, EPROTO, "its state is cut");
	if (flags > 2 || (flags && !b->config.stats))
		return error_set(err, EPROTO, "statistics in state %u", flags);
	memcpy(b->space, space, sizeof(b->space));
	/* The head goes to the used ring only, which is the guest's: any will do. */
	b->stats_head = head;
	b->stats_held = flags & 1;
	b->stats_asked = flags & 2;
	return 0;
}

static void balloon_free(struct virtio_device *dev)
{
	later_clear(&balloon_of(dev)->again);
	free(balloon_of(dev));
}

static const struct virtio_device_ops balloon_ops = {
    .name = "balloon",
    .id = VIRTIO_ID_BALLOON,
    .n_queues = QUEUES,
    .features = VIRTIO_COMMON_FEATURES,
    .queue_size = 128,
    .config_read = config_read,
    .config_write = config_write,
    .activate = activate,
    .queue_notify = queue_notify,
    .reset = reset,
    .free = balloon_free,
    .save = save,
    .restore = restore,
};

int balloon_device_new(struct virtio_device **out, struct loop *loop,
                       const struct balloon_config *config, struct error *err)
{
	struct balloon *b = calloc(1, sizeof(*b));

	if (!b)
		return error_set(err, ENOMEM, "no memory for the balloon device");
	b->dev.ops = &balloon_ops;
	b->config = *config;
	b->stats_queue = b->reporting_queue = NO_QUEUE;
	if (config->stats)
		b->dev.features |= 1ull << F_STATS_VQ;
	if (config->deflate_on_oom)
		b->dev.features |= 1ull << F_DEFLATE_ON_OOM;
	if (config->free_page_reporting)
		b->dev.features |= 1ull << F_PAGE_REPORTING | 1ull << F_PAGE_POISON;
	b->again = (struct later){.loop = loop, .fn = run_again, .data = b};
	*out = &b->dev;
	return 0;
}
