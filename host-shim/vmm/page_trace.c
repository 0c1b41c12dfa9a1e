/* SPDX-License-Identifier: Apache-2.0 */
/* page_trace: see the header. */
#include "host-shim/vmm/page_trace.h"

#include <sys/mman.h>

enum {
	PAGE = 4096,
	CHUNK = 512, /* pages that are looked at at once */
};

/* Neighbours whose advice is not the same are not one mapping; this advice is about reading ahead
 * from the disk and changes nothing else. Returns how many pages it took from `left`. */
static unsigned int separate(uint8_t *at, size_t pages, unsigned int left)
{
	unsigned char resident[CHUNK];
	unsigned int n = 0;

	if (mincore(at, pages * PAGE, resident) < 0)
		return left;
	for (size_t i = 0; i < pages && n < left; i++) {
		if (!(resident[i] & 1))
			continue;
		if (i % 2 == 0 && madvise(at + i * PAGE, PAGE, MADV_RANDOM) < 0)
			return left;
		n++;
	}
	return n;
}

void page_trace_begin(const struct guest_memory *m)
{
	unsigned int left = PAGE_TRACE_MAX;

	for (unsigned int i = 0; i < m->n; i++) {
		const struct guest_region *r = &m->regions[i];

		for (uint64_t done = 0; done < r->size && left > 0;
		     done += (uint64_t)CHUNK * PAGE) {
			uint64_t pages = (r->size - done) / PAGE;

			left -=
			    separate(r->host + done, pages < CHUNK ? (size_t)pages : CHUNK, left);
		}
	}
}
