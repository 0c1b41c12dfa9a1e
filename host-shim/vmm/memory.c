/* SPDX-License-Identifier: Apache-2.0 */
/* memory: the guest-physical address map, and bounded pointers into it. */
#include "memory.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool overlaps(const struct guest_region *r, uint64_t gpa, uint64_t size)
{
	return gpa < r->gpa + r->size && r->gpa < gpa + size;
}

static int check_range(const struct guest_memory *m, uint64_t gpa, uint64_t size, struct error *err)
{
	uint64_t end;

	if (size == 0 || __builtin_add_overflow(gpa, size, &end) || size > SIZE_MAX / 2)
		return error_set(err, EINVAL,
		                 "guest memory at 0x%" PRIx64 " of 0x%" PRIx64
		                 " bytes is empty or wraps round",
		                 gpa, size);
	for (unsigned int i = 0; i < m->n; i++)
		if (overlaps(&m->regions[i], gpa, size))
			return error_set(err, EINVAL,
			                 "guest memory at 0x%" PRIx64 " overlaps the region at "
			                 "0x%" PRIx64,
			                 gpa, m->regions[i].gpa);
	if (m->n == GUEST_MEMORY_REGIONS_MAX)
		return error_set(err, ENOSPC, "guest memory has more than %d regions",
		                 GUEST_MEMORY_REGIONS_MAX);
	return 0;
}

static void insert_region(struct guest_memory *m, const struct guest_region *r)
{
	unsigned int at = m->n;

	while (at > 0 && m->regions[at - 1].gpa > r->gpa)
		at--;
	memmove(&m->regions[at + 1], &m->regions[at], (m->n - at) * sizeof(*r));
	m->regions[at] = *r;
	m->n++;
}

static int add_region(struct guest_memory *m, const struct guest_region *r, struct error *err)
{
	int e = check_range(m, r->gpa, r->size, err);

	if (e == 0)
		insert_region(m, r);
	return e;
}

int guest_memory_add(struct guest_memory *m, uint64_t gpa, uint64_t size, void *host, bool readonly,
                     struct error *err)
{
	const struct guest_region r = {
	    .gpa = gpa, .size = size, .host = host, .readonly = readonly};

	return add_region(m, &r, err);
}

int guest_memory_add_blocks(struct guest_memory *m, uint64_t gpa, uint64_t size, void *host,
                            const uint8_t *blocks, unsigned int shift, struct error *err)
{
	const struct guest_region r = {
	    .gpa = gpa, .size = size, .host = host, .blocks = blocks, .block_shift = shift};

	return add_region(m, &r, err);
}

int guest_memory_map(struct guest_memory *m, uint64_t gpa, uint64_t size, int fd, uint64_t offset,
                     bool readonly, struct error *err)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t skip = offset & (page - 1), end;
	struct guest_region reg = {.gpa = gpa, .size = size, .readonly = readonly};
	struct stat st;
	int r = check_range(m, gpa, size, err);

	if (r < 0)
		return r;
	if (__builtin_add_overflow(offset, size, &end) || end > INT64_MAX)
		return error_set(err, EINVAL, "guest memory file offset 0x%" PRIx64 " wraps round",
		                 offset);
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "guest memory file");
	/* A mapping beyond the end of the file would be SIGBUS at first touch. */
	if ((uint64_t)st.st_size < end)
		return error_set(err, EINVAL,
		                 "guest memory file has 0x%" PRIx64 " bytes, 0x%" PRIx64
		                 " are wanted",
		                 (uint64_t)st.st_size, end);
	reg.map_size = (size_t)(size + skip);
	reg.map = mmap(NULL, reg.map_size, readonly ? PROT_READ : PROT_READ | PROT_WRITE,
	               MAP_SHARED | MAP_NORESERVE, fd, (off_t)(offset - skip));
	if (reg.map == MAP_FAILED)
		return error_errno(err, errno, "mapping 0x%" PRIx64 " bytes of guest memory", size);
	reg.host = (uint8_t *)reg.map + skip;
	insert_region(m, &reg);
	return 0;
}

struct guest_region *guest_memory_find(struct guest_memory *m, uint64_t gpa)
{
	for (unsigned int i = 0; i < m->n; i++)
		if (m->regions[i].gpa == gpa)
			return &m->regions[i];
	return NULL;
}

void guest_memory_remove(struct guest_memory *m, uint64_t gpa)
{
	struct guest_region *r = guest_memory_find(m, gpa);

	if (!r)
		return;
	m->n--;
	memmove(r, r + 1, (size_t)(&m->regions[m->n] - r) * sizeof(*r));
}

void guest_memory_clear(struct guest_memory *m)
{
	if (!m)
		return;
	for (unsigned int i = 0; i < m->n; i++)
		if (m->regions[i].map)
			munmap(m->regions[i].map, m->regions[i].map_size);
	memset(m, 0, sizeof(*m));
}

/* The region that holds gpa and allows the access, or NULL. */
static const struct guest_region *find_region(const struct guest_memory *m, uint64_t gpa,
                                              enum guest_access access)
{
	for (unsigned int i = 0; i < m->n; i++) {
		const struct guest_region *r = &m->regions[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->size)
			return access == GUEST_WRITE && r->readonly ? NULL : r;
	}
	return NULL;
}

/* How many bytes are there from `at` on, without a gap; counting ends once it is `want`. */
static uint64_t bytes_from(const struct guest_region *r, uint64_t at, uint64_t want)
{
	uint64_t end = at;

	if (!r->blocks)
		return r->size - at;
	while (end < r->size && end - at < want && r->blocks[end >> r->block_shift])
		end = ((end >> r->block_shift) + 1) << r->block_shift;
	return end - at;
}

void *guest_memory_ptr(const struct guest_memory *m, uint64_t gpa, uint64_t size,
                       enum guest_access access)
{
	const struct guest_region *r = find_region(m, gpa, access);

	if (!r || size == 0 || size > bytes_from(r, gpa - r->gpa, size))
		return NULL;
	return r->host + (gpa - r->gpa);
}

int guest_memory_iov(const struct guest_memory *m, uint64_t gpa, uint64_t size,
                     enum guest_access access, struct iovec *iov, size_t max)
{
	size_t n = 0;

	while (size > 0) {
		const struct guest_region *r = find_region(m, gpa, access);
		uint64_t left, take;

		if (!r)
			return -EFAULT;
		if (n == max)
			return -ENOSPC;
		left = bytes_from(r, gpa - r->gpa, size);
		if (left == 0)
			return -EFAULT;
		take = size < left ? size : left;
		iov[n++] = (struct iovec){r->host + (gpa - r->gpa), (size_t)take};
		size -= take;
		if (size > 0 && __builtin_add_overflow(gpa, take, &gpa))
			return -EFAULT;
	}
	return (int)n;
}
