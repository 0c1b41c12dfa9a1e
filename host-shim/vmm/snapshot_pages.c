/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot_pages: the pages of a snapshot's memory that a machine touches until it is of use. */
#include "host-shim/vmm/snapshot_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"

#ifndef MADV_POPULATE_WRITE /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

enum {
	PAGE = 4096,
	TAG_ID = 1,
	TAG_RANGES = 2, /* address, pages, flags: 8, 4 and 4 bytes each */
	RANGE_SIZE = 16,
	RANGE_WRITTEN = 1, /* of flags */
	PAGES_VERSION = 1,
	CHUNK = 512, /* entries of pagemap that are read at once */
};

static const char section_name[] = "pages";

/* ---- recording: Documentation/admin-guide/mm/pagemap.rst */

#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_SWAPPED (1ull << 62)
#define PAGEMAP_FILE    (1ull << 61)

struct recording {
	struct buffer ranges;
	struct snapshot_range open; /* size 0: none is */
};

static void end_range(struct recording *r)
{
	if (r->open.size > 0) {
		buffer_le64(&r->ranges, r->open.gpa);
		buffer_le32(&r->ranges, (uint32_t)(r->open.size / PAGE));
		buffer_le32(&r->ranges, r->open.written ? RANGE_WRITTEN : 0);
	}
	r->open.size = 0;
}

static void record_page(struct recording *r, uint64_t gpa, uint64_t entry)
{
	bool written = !(entry & PAGEMAP_FILE);

	if (!(entry & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED))) {
		end_range(r);
		return;
	}
	if (r->open.size == 0 || r->open.written != written || r->open.gpa + r->open.size != gpa) {
		end_range(r);
		r->open = (struct snapshot_range){.gpa = gpa, .written = written};
	}
	r->open.size += PAGE;
}

/* Entries of pagemap from `done` bytes on: at most CHUNK. Returns how many. */
static int get_entries(const struct guest_region *region, uint64_t done, int pagemap,
                       uint64_t entries[CHUNK], struct error *err)
{
	uint64_t left = (region->size - done) / PAGE;
	size_t n = (size_t)(left < CHUNK ? left : CHUNK);
	uint64_t at = ((uintptr_t)region->host + done) / PAGE * sizeof(uint64_t);
	int e = fs_pread_all(pagemap, entries, n * sizeof(entries[0]), at);

	return e < 0 ? error_errno(err, -e, "looking for the pages that were touched") : (int)n;
}

static int record_region(struct recording *r, const struct guest_region *region, int pagemap,
                         struct error *err)
{
	uint64_t entries[CHUNK];

	for (uint64_t done = 0; done < region->size; done += (uint64_t)CHUNK * PAGE) {
		int n = get_entries(region, done, pagemap, entries, err);

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++)
			record_page(r, region->gpa + done + (uint64_t)i * PAGE, entries[i]);
	}
	end_range(r);
	return 0;
}

int snapshot_pages_save(const struct guest_memory *ram, int pagemap,
                        const uint8_t id[SNAPSHOT_ID_SIZE], int fd, struct error *err)
{
	_cleanup_snapshot_writer_ struct snapshot_writer w = SNAPSHOT_WRITER_INIT;
	struct recording rec = {.ranges = {.limit = SNAPSHOT_RANGES_MAX * RANGE_SIZE}};
	int r = 0;

	for (unsigned int i = 0; i < ram->n && r == 0; i++)
		r = record_region(&rec, &ram->regions[i], pagemap, err);
	if (r == 0 && rec.ranges.failed)
		r = error_set(err, ENOMEM, "too many pages, far apart, were touched");
	if (r == 0) {
		snapshot_begin(&w, section_name, PAGES_VERSION, 0);
		snapshot_put(&w, TAG_ID, id, SNAPSHOT_ID_SIZE);
		snapshot_put(&w, TAG_RANGES, rec.ranges.data, rec.ranges.size);
		r = snapshot_write(&w, fd, err);
	}
	buffer_free(&rec.ranges);
	return r;
}

/* ---- using it */

static int bad(struct error *err, const char *why)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "the snapshot's list of pages %s", why);
}

/* All of the range is in one region. */
static bool is_there(const struct guest_memory *ram, const struct snapshot_range *r)
{
	return guest_memory_ptr(ram, r->gpa, r->size, GUEST_READ);
}

/* Ranges that go up and do not overlap name no page twice: there is an end to them. */
static int get_ranges(const uint8_t *p, size_t n, const struct guest_memory *ram,
                      struct snapshot_range *out, struct error *err)
{
	uint64_t end = 0;

	for (size_t i = 0; i < n; i++, p += RANGE_SIZE) {
		struct snapshot_range *r = &out[i];

		*r = (struct snapshot_range){get_le64(p), (uint64_t)get_le32(p + 8) * PAGE,
		                             get_le32(p + 12) & RANGE_WRITTEN};
		if (r->gpa % PAGE || r->gpa < end || r->size == 0 || !is_there(ram, r))
			return bad(err, "names memory that is not there");
		end = r->gpa + r->size;
	}
	return 0;
}

int snapshot_pages_parse(struct snapshot *s, const uint8_t id[SNAPSHOT_ID_SIZE],
                         const struct guest_memory *ram, struct snapshot_range **ranges, size_t *n,
                         struct error *err)
{
	const struct snapshot_section *section;
	uint8_t its_id[SNAPSHOT_ID_SIZE];
	const uint8_t *p;
	size_t size = 0;
	int r = snapshot_open(s, section_name, PAGES_VERSION, &section, err);

	if (r == 0)
		r = snapshot_get(section, TAG_ID, its_id, sizeof(its_id), err);
	if (r < 0)
		return r;
	p = snapshot_find(section, TAG_RANGES, 0, &size);
	if (memcmp(id, its_id, sizeof(its_id)) != 0)
		return bad(err, "belongs to another snapshot");
	if (!p || size % RANGE_SIZE || size / RANGE_SIZE > SNAPSHOT_RANGES_MAX)
		return bad(err, "is none");
	*n = size / RANGE_SIZE;
	*ranges = calloc(*n ? *n : 1, sizeof(**ranges));
	if (!*ranges)
		return error_set(err, ENOMEM, "no memory for the snapshot's list of pages");
	r = get_ranges(p, *n, ram, *ranges, err);
	if (r < 0) {
		free(*ranges);
		*ranges = NULL;
	}
	return r;
}

void snapshot_pages_populate(const struct guest_memory *ram, const struct snapshot_range *ranges,
                             size_t n)
{
	for (size_t i = 0; i < n; i++) {
		void *p = guest_memory_ptr(ram, ranges[i].gpa, ranges[i].size, GUEST_READ);

		if (p)
			madvise(p, (size_t)ranges[i].size,
			        ranges[i].written ? MADV_POPULATE_WRITE : MADV_WILLNEED);
	}
}

/* ---- afterwards */

static bool is_copy(uint64_t entry)
{
	return entry & PAGEMAP_PRESENT && !(entry & PAGEMAP_FILE);
}

static int find_in_region(struct snapshot_copies *c, const struct guest_region *region,
                          uint64_t in_file, int pagemap, struct error *err)
{
	uint64_t entries[CHUNK];

	for (uint64_t done = 0; done < region->size; done += (uint64_t)CHUNK * PAGE) {
		int n = get_entries(region, done, pagemap, entries, err);

		if (n < 0)
			return n;
		for (int i = 0; i < n && c->n < SNAPSHOT_COPIES_MAX; i++) {
			uint64_t at = done + (uint64_t)i * PAGE;

			if (is_copy(entries[i]))
				c->pages[c->n++] =
				    (struct snapshot_copy){region->host + at, in_file + at};
		}
	}
	return 0;
}

int snapshot_pages_find_copies(struct snapshot_copies *c, const struct guest_memory *ram,
                               int pagemap, struct error *err)
{
	uint64_t in_file = 0;

	c->n = 0;
	for (unsigned int i = 0; i < ram->n && c->n < SNAPSHOT_COPIES_MAX; i++) {
		int r = find_in_region(c, &ram->regions[i], in_file, pagemap, err);

		if (r < 0)
			return r;
		/* As they are in the file, see snapshot_memory.h. */
		if (!align_up64(in_file + ram->regions[i].size, SNAPSHOT_BLOCK, &in_file))
			return error_set(err, EINVAL, "guest memory is too large");
	}
	return 0;
}

int64_t snapshot_pages_share(const struct snapshot_copies *c, int memory, struct error *err)
{
	int64_t shared = 0;

	for (size_t i = 0; i < c->n; i++) {
		uint8_t was[PAGE];
		int r = fs_pread_all(memory, was, PAGE, c->pages[i].in_file);

		if (r < 0)
			return error_errno(err, -r, "reading the snapshot's memory");
		if (memcmp(c->pages[i].host, was, PAGE) != 0)
			continue;
		if (madvise(c->pages[i].host, PAGE, MADV_DONTNEED) < 0)
			return error_errno(err, errno, "sharing a page");
		shared += PAGE;
	}
	return shared;
}
