/* SPDX-License-Identifier: Apache-2.0 */
/* queue: the device's side of a split virtqueue (virtio 1.2 §2.7). */
#include "queue.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/bytes.h"

struct descriptor {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

#define DESC_SIZE 16u

/* Ring fields are read and written as whole 16-bit words, as §2.7.13 asks. */
static uint16_t load16(const uint8_t *p, int order)
{
	const uint16_t *w = (const uint16_t *)(const void *)p;

	return le16toh(order == __ATOMIC_ACQUIRE ? __atomic_load_n(w, __ATOMIC_ACQUIRE)
	                                         : __atomic_load_n(w, __ATOMIC_RELAXED));
}

static void store16(uint8_t *p, uint16_t v, int order)
{
	uint16_t *w = (uint16_t *)(void *)p;

	if (order == __ATOMIC_RELEASE)
		__atomic_store_n(w, htole16(v), __ATOMIC_RELEASE);
	else
		__atomic_store_n(w, htole16(v), __ATOMIC_RELAXED);
}

/* struct virtq_avail: flags, idx, ring[size], used_event (§2.7.6). */
static const uint8_t *avail_flags(const struct virtqueue *q)
{
	return q->avail;
}

static const uint8_t *avail_idx(const struct virtqueue *q)
{
	return q->avail + 2;
}

static const uint8_t *avail_entry(const struct virtqueue *q, uint16_t i)
{
	return q->avail + 4 + 2u * (i & (q->size - 1u));
}

static const uint8_t *avail_used_event(const struct virtqueue *q)
{
	return q->avail + 4 + 2u * q->size;
}

/* struct virtq_used: flags, idx, ring[size] of {id, len}, avail_event (§2.7.8). */
static uint8_t *used_flags(const struct virtqueue *q)
{
	return q->used;
}

static uint8_t *used_idx(const struct virtqueue *q)
{
	return q->used + 2;
}

static uint8_t *used_entry(const struct virtqueue *q, uint16_t i)
{
	return q->used + 4 + 8u * (i & (q->size - 1u));
}

static uint8_t *used_avail_event(const struct virtqueue *q)
{
	return q->used + 4 + 8u * q->size;
}

static int set_pointers(struct virtqueue *q, const struct guest_memory *m,
                        const struct virtqueue_layout *l, struct error *err)
{
	const struct {
		const char *name;
		uint64_t addr, size, align;
		enum guest_access access;
		const uint8_t **ptr;
	} part[] = {
	    {"descriptor table", l->desc, (uint64_t)DESC_SIZE * l->size, 16, GUEST_READ, &q->desc},
	    {"available ring", l->avail, 6 + 2ull * l->size, 2, GUEST_READ, &q->avail},
	    {"used ring", l->used, 6 + 8ull * l->size, 4, GUEST_WRITE, (const uint8_t **)&q->used},
	};

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		uint8_t *p = guest_memory_ptr(m, part[i].addr, part[i].size, part[i].access);

		if (!p || (part[i].addr & (part[i].align - 1)) ||
		    ((uintptr_t)p & (part[i].align - 1)))
			return error_set(err, EINVAL,
			                 "virtqueue %s at 0x%" PRIx64
			                 " is misaligned or not in guest memory",
			                 part[i].name, part[i].addr);
		*part[i].ptr = p;
	}
	return 0;
}

int virtqueue_start(struct virtqueue *q, const struct guest_memory *memory,
                    const struct virtqueue_layout *l, struct error *err)
{
	int r;

	virtqueue_stop(q);
	if (l->size == 0 || l->size > VIRTQUEUE_SIZE_MAX || (l->size & (l->size - 1)))
		return error_set(err, EINVAL, "virtqueue size %u is not a power of two up to %d",
		                 l->size, VIRTQUEUE_SIZE_MAX);
	r = set_pointers(q, memory, l, err);
	if (r < 0) {
		virtqueue_stop(q);
		return r;
	}
	q->memory = memory;
	q->size = l->size;
	q->indirect = l->features & 1ull << VIRTIO_F_INDIRECT_DESC;
	q->event_idx = l->features & 1ull << VIRTIO_F_EVENT_IDX;
	q->next_avail = l->next_avail;
	/* A ring that goes on (a new owner of the device) tells where it was. */
	q->next_used = load16(used_idx(q), __ATOMIC_RELAXED);
	q->ready = true;
	return 0;
}

void virtqueue_stop(struct virtqueue *q)
{
	const struct virtqueue_counters counters = q->counters;

	*q = (struct virtqueue){.counters = counters};
}

static int broken(struct virtqueue *q, const char *rule)
{
	q->broken = rule;
	return -EPROTO;
}

/* The ring's table is aligned, a table of indirect descriptors need not be (§2.7.5.3). */
typedef uint64_t any_address __attribute__((aligned(1), may_alias));

/* One read of the 16 bytes; the guest may change them afterwards, to no effect. */
static struct descriptor read_descriptor(const uint8_t *table, uint32_t i)
{
	uint8_t d[DESC_SIZE];
	const uint8_t *from = table + (size_t)DESC_SIZE * i;

	for (size_t w = 0; w < DESC_SIZE; w += 8) {
		uint64_t v = *(const volatile any_address *)(const void *)(from + w);

		memcpy(d + w, &v, 8);
	}
	return (struct descriptor){get_le64(d), get_le32(d + 8), get_le16(d + 12),
	                           get_le16(d + 14)};
}

static int add_buffer(struct virtqueue *q, struct virtqueue_chain *c, const struct descriptor *d)
{
	bool write = d->flags & VIRTQ_DESC_F_WRITE;
	size_t used = (size_t)c->n_read + c->n_write, *sum;
	int n;

	if (!write && c->n_write > 0)
		return broken(q, "a readable descriptor follows a writable one (2.7.4.2)");
	n = guest_memory_iov(q->memory, d->addr, d->len, write ? GUEST_WRITE : GUEST_READ,
	                     c->iov + used, VIRTQUEUE_SIZE_MAX - used);
	if (n < 0)
		return broken(q, n == -ENOSPC ? "a chain has too many pieces"
		                              : "a descriptor points outside guest memory");
	sum = write ? &c->write_size : &c->read_size;
	if (__builtin_add_overflow(*sum, (size_t)d->len, sum) || *sum > UINT32_MAX)
		return broken(q, "a chain is longer than 2^32 bytes (2.7.5)");
	if (write)
		c->n_write = (uint16_t)(c->n_write + n);
	else
		c->n_read = (uint16_t)(c->n_read + n);
	return 0;
}

struct walk {
	const uint8_t *table;
	uint32_t entries;
	uint32_t
	    left; /* descriptors that may still come: §2.7.5.3.1 bounds a chain by the queue size */
	uint32_t index;
	bool indirect; /* inside an indirect table */
};

static int enter_indirect(struct virtqueue *q, struct walk *w, const struct descriptor *d)
{
	if (!q->indirect)
		return broken(q, "an indirect descriptor was not negotiated (2.7.5.3)");
	if (w->indirect)
		return broken(q, "an indirect table inside an indirect table (2.7.5.3.1)");
	if (d->flags & VIRTQ_DESC_F_NEXT)
		return broken(q, "a descriptor is both indirect and chained (2.7.5.3.1)");
	if (d->len == 0 || d->len % DESC_SIZE)
		return broken(q, "an indirect table has a wrong size (2.7.5.3)");
	w->table = guest_memory_ptr(q->memory, d->addr, d->len, GUEST_READ);
	if (!w->table)
		return broken(q, "an indirect table lies outside guest memory");
	w->entries = d->len / DESC_SIZE;
	w->index = 0;
	w->indirect = true;
	return 0;
}

static int walk_chain(struct virtqueue *q, struct virtqueue_chain *c, uint16_t head)
{
	struct walk w = {q->desc, q->size, q->size, head, false};
	int r;

	for (;;) {
		struct descriptor d;

		if (w.index >= w.entries)
			return broken(q, "a descriptor index is out of range");
		if (w.left == 0)
			return broken(q, "a chain is longer than the queue, or loops (2.7.5.3.1)");
		d = read_descriptor(w.table, w.index);
		if (d.flags & VIRTQ_DESC_F_INDIRECT) {
			r = enter_indirect(q, &w, &d);
			if (r < 0)
				return r;
			continue;
		}
		w.left--;
		r = add_buffer(q, c, &d);
		if (r < 0)
			return r;
		if (!(d.flags & VIRTQ_DESC_F_NEXT))
			return 1;
		w.index = d.next;
	}
}

uint16_t virtqueue_offered(const struct virtqueue *q)
{
	return q->avail ? load16(avail_idx(q), __ATOMIC_ACQUIRE) : 0;
}

int virtqueue_pop(struct virtqueue *q, struct virtqueue_chain *c)
{
	uint16_t idx;
	int r;

	if (q->broken)
		return -EPROTO;
	if (!q->ready || q->held)
		return 0;
	idx = load16(avail_idx(q), __ATOMIC_ACQUIRE);
	if (idx == q->next_avail)
		return 0;
	if ((uint16_t)(idx - q->next_avail) > q->size)
		return broken(q, "the available index runs further than the queue is long (2.7.6)");
	c->head = load16(avail_entry(q, q->next_avail), __ATOMIC_RELAXED);
	c->n_read = c->n_write = 0;
	c->read_size = c->write_size = 0;
	if (c->head >= q->size)
		return broken(q, "an available entry names a descriptor out of range (2.7.6)");
	r = walk_chain(q, c, c->head);
	if (r > 0) {
		q->next_avail++;
		q->last_read = c->read_size;
		q->counters.chains++;
		q->counters.read += c->read_size;
	}
	return r;
}

void virtqueue_unpop(struct virtqueue *q)
{
	q->next_avail--;
	q->counters.chains--;
	q->counters.read -= q->last_read;
}

void virtqueue_push(struct virtqueue *q, uint16_t head, uint32_t written)
{
	uint8_t *e;

	if (!q->ready || q->broken)
		return;
	e = used_entry(q, q->next_used);
	put_le32(e, head);
	put_le32(e + 4, written);
	q->counters.written += written;
	q->next_used++;
}

/* §2.7.10.1: is event inside (old, new]? */
static bool event_passed(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

bool virtqueue_publish(struct virtqueue *q)
{
	uint16_t old = q->signalled;
	bool valid = q->signalled_valid;

	if (!q->ready || q->broken)
		return false;
	store16(used_idx(q), q->next_used, __ATOMIC_RELEASE);
	/* The index must be seen before the driver's wish is read, or both sides sleep. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!q->event_idx)
		return !(load16(avail_flags(q), __ATOMIC_RELAXED) & VIRTQ_AVAIL_F_NO_INTERRUPT);
	q->signalled = q->next_used;
	q->signalled_valid = true;
	return !valid ||
	       event_passed(load16(avail_used_event(q), __ATOMIC_RELAXED), q->next_used, old);
}

void virtqueue_notify_off(struct virtqueue *q)
{
	/* With event indices an old avail_event is itself the "off". */
	if (q->ready && !q->broken && !q->event_idx)
		store16(used_flags(q), VIRTQ_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
}

bool virtqueue_notify_beyond(struct virtqueue *q, uint16_t offered)
{
	if (!q->ready || q->broken || q->held)
		return false;
	if (q->event_idx)
		store16(used_avail_event(q), offered, __ATOMIC_RELAXED);
	else
		store16(used_flags(q), 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return load16(avail_idx(q), __ATOMIC_ACQUIRE) != offered;
}

bool virtqueue_notify_on(struct virtqueue *q)
{
	return virtqueue_notify_beyond(q, q->next_avail);
}
