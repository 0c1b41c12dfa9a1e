/* SPDX-License-Identifier: Apache-2.0 */
/* bus: who answers at an address or port. */
#include "bus.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* The first range that begins above the address. */
static unsigned int upper_bound(const struct bus *b, uint64_t address)
{
	unsigned int low = 0, high = b->n;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (b->ranges[mid].base <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int bus_add(struct bus *b, uint64_t base, uint64_t size, const struct bus_ops *ops, void *data,
            struct error *err)
{
	unsigned int at = upper_bound(b, base);
	uint64_t end;

	if (size == 0 || __builtin_add_overflow(base, size, &end) ||
	    (at > 0 && b->ranges[at - 1].base + b->ranges[at - 1].size > base) ||
	    (at < b->n && b->ranges[at].base < end))
		return error_set(err, EINVAL,
		                 "the device range 0x%" PRIx64 " of 0x%" PRIx64
		                 " bytes is empty or taken",
		                 base, size);
	if (b->n == BUS_RANGES_MAX)
		return error_set(err, ENOSPC, "more than %d device ranges", BUS_RANGES_MAX);
	memmove(&b->ranges[at + 1], &b->ranges[at], (b->n - at) * sizeof(b->ranges[0]));
	b->ranges[at] = (struct bus_range){base, size, ops, data};
	b->n++;
	return 0;
}

static const struct bus_range *find(const struct bus *b, uint64_t address, size_t size)
{
	unsigned int at = upper_bound(b, address);
	const struct bus_range *r = at > 0 ? &b->ranges[at - 1] : NULL;

	if (!r || address - r->base >= r->size || size > r->size - (address - r->base))
		return NULL;
	return r;
}

int bus_read(const struct bus *b, uint64_t address, uint8_t *bytes, size_t size)
{
	const struct bus_range *r = find(b, address, size);

	memset(bytes, 0xff, size);
	if (!r)
		return 1;
	r->ops->read(r->data, address - r->base, bytes, size);
	return 0;
}

int bus_write(const struct bus *b, uint64_t address, const uint8_t *bytes, size_t size)
{
	const struct bus_range *r = find(b, address, size);

	if (!r)
		return 1;
	r->ops->write(r->data, address - r->base, bytes, size);
	return 0;
}
