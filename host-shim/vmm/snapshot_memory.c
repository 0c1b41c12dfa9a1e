/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot_memory: see the header. */
#include "host-shim/vmm/snapshot_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"

enum {
	PAGE = 4096,
	ID_SIZE = SNAPSHOT_ID_SIZE,
	/* fields of the section */
	TAG_ID = 1,
	TAG_FILE_SIZE = 2, /* without the last page */
	TAG_REGION = 3,    /* address, size, place in the file; a field each */
	TAG_CRCS = 4,      /* of each SNAPSHOT_BLOCK of the file, 4 bytes each */
	REGION_SIZE = 24,
	MEMORY_VERSION = 1,
};

static const char section_name[] = "memory";
static const char mark[16] = "KIHONVMS memory";

/* What the last page begins with; the rest is zero. */
struct last_page {
	char mark[sizeof(mark)];
	uint8_t id[ID_SIZE];
};

/* ---- saving */

static bool is_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* The file was empty: what is zero stays a hole. */
static int write_block(int fd, const uint8_t *p, size_t size, uint64_t at, struct error *err)
{
	for (size_t from = 0; from < size;) {
		size_t to = from;
		int r;

		while (to < size && !is_zero(p + to, PAGE))
			to += PAGE;
		if (to == from) {
			from += PAGE;
			continue;
		}
		r = fs_pwrite_all(fd, p + from, to - from, at + from);
		if (r < 0)
			return error_errno(err, -r, "writing the snapshot's memory");
		from = to;
	}
	return 0;
}

/* Whether the memfd has anything between `at` and at + size. */
static bool has_data(int fd, uint64_t at, uint64_t size)
{
	off_t next = lseek(fd, (off_t)at, SEEK_DATA);

	return next < 0 ? errno != ENXIO : (uint64_t)next < at + size;
}

struct saving {
	const struct snapshot_ram *ram;
	struct buffer crcs;
	uint8_t *block;    /* SNAPSHOT_BLOCK bytes */
	uint32_t zero_crc; /* of a block of zeros */
	int fd;
};

/* A memfd is read, not looked at: a page that is looked at and was not there is there afterwards.
 */
static int save_block(struct saving *s, const uint8_t *p, size_t size, uint64_t in_ram, uint64_t at,
                      struct error *err)
{
	if (s->ram->fd >= 0) {
		int r;

		if (size == SNAPSHOT_BLOCK && !has_data(s->ram->fd, in_ram, size)) {
			buffer_le32(&s->crcs, s->zero_crc);
			return 0;
		}
		r = fs_pread_all(s->ram->fd, s->block, size, in_ram);
		if (r < 0)
			return error_errno(err, -r, "reading the guest's memory");
		p = s->block;
	}
	buffer_le32(&s->crcs, snapshot_crc(p, size));
	return write_block(s->fd, p, size, at, err);
}

static int save_region(struct saving *s, const struct guest_region *region, uint64_t in_ram,
                       uint64_t at, struct error *err)
{
	int r = 0;

	for (uint64_t done = 0; done < region->size && r == 0; done += SNAPSHOT_BLOCK) {
		uint64_t left = region->size - done;
		size_t size = (size_t)(left < SNAPSHOT_BLOCK ? left : SNAPSHOT_BLOCK);

		r = save_block(s, region->host + done, size, in_ram + done, at + done, err);
	}
	return r;
}

static int save_regions(struct saving *s, struct snapshot_writer *w, uint64_t *end,
                        struct error *err)
{
	uint64_t at = 0, in_ram = 0;

	for (unsigned int i = 0; i < s->ram->n; i++) {
		const struct guest_region *region = &s->ram->regions[i];
		uint8_t field[REGION_SIZE];
		int r;

		if (region->size % PAGE)
			return error_set(err, EINVAL,
			                 "guest memory at 0x%" PRIx64 " is not in whole pages",
			                 region->gpa);
		put_le64(field, region->gpa);
		put_le64(field + 8, region->size);
		put_le64(field + 16, at);
		snapshot_put(w, TAG_REGION, field, sizeof(field));
		r = save_region(s, region, in_ram, at, err);
		if (r < 0)
			return r;
		in_ram += region->size;
		if (!align_up64(at + region->size, SNAPSHOT_BLOCK, &at))
			return error_set(err, EINVAL, "guest memory is too large");
	}
	*end = at;
	return 0;
}

static int save_last_page(int fd, const uint8_t id[ID_SIZE], uint64_t at, struct error *err)
{
	struct last_page last = {{0}, {0}};
	int r;

	memcpy(last.mark, mark, sizeof(mark));
	memcpy(last.id, id, ID_SIZE);
	r = ftruncate(fd, (off_t)(at + PAGE)) < 0 ? -errno
	                                          : fs_pwrite_all(fd, &last, sizeof(last), at);
	return r < 0 ? error_errno(err, -r, "writing the snapshot's memory") : 0;
}

int snapshot_memory_save(struct snapshot_writer *w, const struct snapshot_ram *ram, int fd,
                         struct error *err)
{
	_cleanup_free_ uint8_t *block = calloc(1, SNAPSHOT_BLOCK);
	struct saving s = {.ram = ram, .fd = fd, .block = block};
	uint8_t id[ID_SIZE];
	uint64_t end = 0;
	int r;

	if (!block)
		return error_set(err, ENOMEM, "no memory to save the guest's");
	s.zero_crc = snapshot_crc(block, SNAPSHOT_BLOCK);
	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return error_errno(err, errno, "naming the snapshot");
	snapshot_begin(w, section_name, MEMORY_VERSION, 0);
	snapshot_put(w, TAG_ID, id, sizeof(id));
	r = save_regions(&s, w, &end, err);
	if (r == 0)
		r = save_last_page(fd, id, end, err);
	if (r == 0 && s.crcs.failed)
		r = error_set(err, ENOMEM, "no memory to save the guest's");
	snapshot_put_u64(w, TAG_FILE_SIZE, end);
	snapshot_put(w, TAG_CRCS, s.crcs.data, s.crcs.size);
	buffer_free(&s.crcs);
	return r;
}

/* ---- restoring */

struct region {
	uint64_t gpa, size, at;
};

struct saved {
	const struct snapshot_section *section;
	uint64_t file_size;
	const uint8_t *crcs;
	uint64_t n_crcs;
};

/* The nth region; false: there is none. All of it lies in the file. */
static int get_region(const struct saved *saved, unsigned int nth, struct region *out,
                      struct error *err)
{
	size_t size = 0;
	const uint8_t *p = snapshot_find(saved->section, TAG_REGION, nth, &size);

	if (!p)
		return 0;
	if (size == REGION_SIZE)
		*out = (struct region){get_le64(p), get_le64(p + 8), get_le64(p + 16)};
	if (size != REGION_SIZE || out->size == 0 || out->gpa % PAGE || out->size % PAGE ||
	    out->at % SNAPSHOT_BLOCK || out->at > saved->file_size ||
	    out->size > saved->file_size - out->at)
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "the snapshot's memory has a region %u that is not in its file", nth);
	return 1;
}

/* The file is the one that belongs to the state. */
static int check_last_page(const struct saved *saved, int fd, struct error *err)
{
	struct last_page last;
	uint8_t id[ID_SIZE];
	struct stat st;
	int r = snapshot_get(saved->section, TAG_ID, id, sizeof(id), err);

	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "the snapshot's memory");
	if ((uint64_t)st.st_size != saved->file_size + PAGE)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the snapshot's memory has %" PRIu64
		                      " bytes instead of %" PRIu64
		                      ": it is cut short or of another snapshot",
		                      (uint64_t)st.st_size, saved->file_size + PAGE);
	r = fs_pread_all(fd, &last, sizeof(last), saved->file_size);
	if (r < 0)
		return error_errno(err, -r, "reading the snapshot's memory");
	if (memcmp(last.mark, mark, sizeof(mark)) != 0)
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "the snapshot's memory is damaged: its last page has no name");
	if (memcmp(last.id, id, ID_SIZE) != 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the snapshot's memory belongs to another snapshot");
	return 0;
}

static int open_saved(struct snapshot *s, int fd, struct saved *saved, struct error *err)
{
	size_t size = 0;
	int r = snapshot_open(s, section_name, MEMORY_VERSION, &saved->section, err);

	if (r == 0)
		r = snapshot_get_u64(saved->section, TAG_FILE_SIZE, &saved->file_size, err);
	if (r < 0)
		return r;
	if (saved->file_size > INT64_MAX - PAGE || saved->file_size % SNAPSHOT_BLOCK)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the snapshot's memory has an impossible size");
	saved->crcs = snapshot_find(saved->section, TAG_CRCS, 0, &size);
	saved->n_crcs = size / 4;
	if (!saved->crcs || saved->n_crcs != saved->file_size / SNAPSHOT_BLOCK)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the snapshot's memory has not a checksum for each 2 MiB");
	return check_last_page(saved, fd, err);
}

static int map_region(const struct region *region, int fd, struct guest_memory *m,
                      struct error *err)
{
	void *p = mmap(NULL, (size_t)region->size, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_NORESERVE, fd, (off_t)region->at);
	int r;

	if (p == MAP_FAILED)
		return error_errno(err, errno,
		                   "mapping 0x%" PRIx64 " bytes of the snapshot's memory",
		                   region->size);
	r = guest_memory_add(m, region->gpa, region->size, p, false, err);
	if (r < 0) {
		munmap(p, (size_t)region->size);
		return r;
	}
	for (unsigned int i = 0; i < m->n; i++)
		if (m->regions[i].gpa == region->gpa) {
			m->regions[i].map = p;
			m->regions[i].map_size = (size_t)region->size;
		}
	return 0;
}

int snapshot_memory_map(struct snapshot *s, int fd, struct guest_memory *m, struct error *err)
{
	struct saved saved;
	struct region region;
	int r = open_saved(s, fd, &saved, err);

	if (r < 0)
		return r;
	for (unsigned int i = 0; (r = get_region(&saved, i, &region, err)) > 0; i++) {
		r = map_region(&region, fd, m, err);
		if (r < 0)
			return r;
	}
	return r;
}

static int replace_region(const struct region *region, int fd, const struct guest_memory *m,
                          struct error *err)
{
	for (unsigned int i = 0; i < m->n; i++) {
		const struct guest_region *r = &m->regions[i];

		if (r->gpa != region->gpa || r->size != region->size)
			continue;
		if (mmap(r->host, (size_t)r->size, PROT_READ | PROT_WRITE,
		         MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, fd,
		         (off_t)region->at) == MAP_FAILED)
			return error_errno(err, errno,
			                   "mapping 0x%" PRIx64 " bytes of the snapshot's memory",
			                   r->size);
		return 0;
	}
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "the snapshot has 0x%" PRIx64 " bytes of memory at 0x%" PRIx64
	                      ", this machine has not",
	                      region->size, region->gpa);
}

int snapshot_memory_replace(struct snapshot *s, int fd, const struct guest_memory *m,
                            struct error *err)
{
	struct saved saved;
	struct region region;
	unsigned int i;
	int r = open_saved(s, fd, &saved, err);

	if (r < 0)
		return r;
	for (i = 0; (r = get_region(&saved, i, &region, err)) > 0; i++) {
		r = replace_region(&region, fd, m, err);
		if (r < 0)
			return r;
	}
	if (r == 0 && i != m->n)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the snapshot has less memory than this machine");
	return r;
}

static int check_region(const struct saved *saved, const struct region *region, int fd,
                        uint8_t *block, struct error *err)
{
	uint32_t zero_crc;

	memset(block, 0, SNAPSHOT_BLOCK);
	zero_crc = snapshot_crc(block, SNAPSHOT_BLOCK);
	for (uint64_t done = 0; done < region->size; done += SNAPSHOT_BLOCK) {
		uint64_t left = region->size - done, at = region->at + done;
		size_t size = (size_t)(left < SNAPSHOT_BLOCK ? left : SNAPSHOT_BLOCK);
		int r;

		/* Most of an idle guest's memory is a hole, which need not be read. */
		if (size == SNAPSHOT_BLOCK && !has_data(fd, at, size) &&
		    get_le32(saved->crcs + at / SNAPSHOT_BLOCK * 4) == zero_crc)
			continue;
		r = fs_pread_all(fd, block, size, at);
		if (r < 0)
			return error_errno(err, -r, "reading the snapshot's memory");
		if (get_le32(saved->crcs + at / SNAPSHOT_BLOCK * 4) != snapshot_crc(block, size))
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "the snapshot's memory is damaged between 0x%" PRIx64
			                      " and 0x%" PRIx64,
			                      region->gpa + done, region->gpa + done + size);
	}
	return 0;
}

int snapshot_memory_id(struct snapshot *s, uint8_t id[SNAPSHOT_ID_SIZE], struct error *err)
{
	const struct snapshot_section *section;
	int r = snapshot_open(s, section_name, MEMORY_VERSION, &section, err);

	return r < 0 ? r : snapshot_get(section, TAG_ID, id, SNAPSHOT_ID_SIZE, err);
}

int snapshot_memory_check(struct snapshot *s, int fd, struct error *err)
{
	_cleanup_free_ uint8_t *block = malloc(SNAPSHOT_BLOCK);
	struct saved saved;
	struct region region;
	int r = open_saved(s, fd, &saved, err);

	if (r == 0 && !block)
		r = error_set(err, ENOMEM, "no memory to check the snapshot's");
	if (r < 0)
		return r;
	for (unsigned int i = 0; (r = get_region(&saved, i, &region, err)) > 0; i++) {
		r = check_region(&saved, &region, fd, block, err);
		if (r < 0)
			return r;
	}
	return r;
}
