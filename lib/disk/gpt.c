/* SPDX-License-Identifier: Apache-2.0 */
/* gpt: header and entries, from either end of the disk. */
#include "lib/disk/gpt.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/disk/mbr.h"

#define MBR_TYPE_GPT 0xeeu /* UEFI 2.10 §5.2.3: the protective entry */
#define ENTRY_MIN    128u
#define HEADER_MIN   92u

enum { /* UEFI 2.10 table 5.5 */
       HEADER_SIGNATURE = 0,
       HEADER_REVISION = 8,
       HEADER_SIZE = 12,
       HEADER_CRC = 16,
       HEADER_MY_LBA = 24,
       HEADER_FIRST_USABLE = 40,
       HEADER_LAST_USABLE = 48,
       HEADER_ENTRIES_LBA = 72,
       HEADER_N_ENTRIES = 80,
       HEADER_ENTRY_SIZE = 84,
       HEADER_ENTRIES_CRC = 88,
};

enum { /* UEFI 2.10 table 5.6 */
       ENTRY_TYPE = 0,
       ENTRY_UUID = 16,
       ENTRY_FIRST_LBA = 32,
       ENTRY_LAST_LBA = 40,
};

/* A file or bytes. */
struct disk {
	int fd;
	const uint8_t *bytes;
	uint64_t blocks;
	uint32_t block_size;
};

struct header {
	uint64_t first_usable, last_usable, entries_lba;
	uint32_t n_entries, entry_size, entries_crc;
};

void gpt_free(struct gpt *gpt)
{
	free(gpt->partitions);
	*gpt = (struct gpt){NULL, 0};
}

/* Bit by bit: a table has a few KiB. */
static uint32_t crc32_of(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static int refuse(struct error *err, const char *what)
{
	return error_set_kind(err, ERROR_INPUT, EUCLEAN, "%s", what);
}

/* The caller keeps within the disk. */
static int read_blocks(const struct disk *d, uint64_t lba, uint8_t *out, size_t size,
                       struct error *err)
{
	int r;

	if (d->bytes) {
		memcpy(out, d->bytes + lba * d->block_size, size);
		return 0;
	}
	r = fs_pread_all(d->fd, out, size, lba * d->block_size);
	return r < 0 ? error_errno(err, -r, "reading the partition table") : 0;
}

/* UEFI 2.10 §5.2.3: without it, nobody said that there is a GPT. */
static int check_protective(const struct disk *d, struct error *err)
{
	uint8_t block[4096];
	int r = read_blocks(d, 0, block, d->block_size, err);

	if (r < 0)
		return r;
	if (block[510] != 0x55 || block[511] != 0xaa)
		return refuse(err, "there is no partition table");
	/* Its sizes may be anything: the type of an entry is all that counts. */
	for (unsigned int i = 0; i < MBR_ENTRIES; i++)
		if (block[446 + 16 * i + 4] == MBR_TYPE_GPT)
			return 0;
	return refuse(err, "there is no GPT: no protective entry says so");
}

static int parse_header(const struct disk *d, uint8_t *block, uint64_t lba, struct header *h,
                        struct error *err)
{
	uint32_t size = get_le32(block + HEADER_SIZE), crc = get_le32(block + HEADER_CRC);
	uint64_t bytes;

	if (memcmp(block + HEADER_SIGNATURE, "EFI PART", 8) != 0)
		return refuse(err, "there is no GPT header");
	if (size < HEADER_MIN || size > d->block_size)
		return refuse(err, "the GPT header has a size that cannot be");
	put_le32(block + HEADER_CRC, 0);
	if (crc32_of(block, size) != crc)
		return refuse(err, "the GPT header's checksum does not hold");
	if (get_le32(block + HEADER_REVISION) >> 16 != 1)
		return refuse(err, "the GPT is of a revision that is not known");
	h->first_usable = get_le64(block + HEADER_FIRST_USABLE);
	h->last_usable = get_le64(block + HEADER_LAST_USABLE);
	h->entries_lba = get_le64(block + HEADER_ENTRIES_LBA);
	h->n_entries = get_le32(block + HEADER_N_ENTRIES);
	h->entry_size = get_le32(block + HEADER_ENTRY_SIZE);
	h->entries_crc = get_le32(block + HEADER_ENTRIES_CRC);
	if (get_le64(block + HEADER_MY_LBA) != lba)
		return refuse(err, "the GPT header is another block's");
	if (h->first_usable < 2 || h->first_usable > h->last_usable || h->last_usable >= d->blocks)
		return refuse(err, "the GPT header names usable blocks that cannot be");
	if (h->entry_size < ENTRY_MIN || h->entry_size & (h->entry_size - 1) ||
	    h->n_entries > GPT_ENTRIES_MAX)
		return refuse(err, "the GPT has entries of a size or number that cannot be");
	bytes = (uint64_t)h->n_entries * h->entry_size;
	if (bytes > GPT_TABLE_MAX || h->entries_lba < 2 || h->entries_lba >= d->blocks ||
	    bytes > (d->blocks - h->entries_lba) * d->block_size)
		return refuse(err, "the GPT's entries do not fit the disk");
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct gpt_partition *p = a, *q = b;

	return p->start < q->start ? -1 : p->start > q->start;
}

static int by_number(const void *a, const void *b)
{
	const struct gpt_partition *p = a, *q = b;

	return p->number < q->number ? -1 : p->number > q->number;
}

static int check_overlaps(struct gpt *gpt, struct error *err)
{
	int r = 0;

	if (gpt->n == 0)
		return 0;
	qsort(gpt->partitions, gpt->n, sizeof(*gpt->partitions), by_start);
	for (size_t i = 1; i < gpt->n && r == 0; i++) {
		const struct gpt_partition *p = &gpt->partitions[i - 1], *q = p + 1;

		if (q->start < p->start + p->size)
			r = error_set_kind(err, ERROR_INPUT, EUCLEAN,
			                   "the GPT's partitions %u and %u overlap", p->number,
			                   q->number);
	}
	qsort(gpt->partitions, gpt->n, sizeof(*gpt->partitions), by_number);
	return r;
}

static int parse_entries(const struct disk *d, const struct header *h, const uint8_t *entries,
                         struct gpt *out, struct error *err)
{
	static const uint8_t unused[16];

	out->partitions = calloc(h->n_entries + 1u, sizeof(*out->partitions));
	if (!out->partitions)
		return error_set(err, ENOMEM, "no memory for a partition table");
	for (uint32_t i = 0; i < h->n_entries; i++) {
		const uint8_t *e = entries + (size_t)i * h->entry_size;
		uint64_t first = get_le64(e + ENTRY_FIRST_LBA);
		uint64_t last = get_le64(e + ENTRY_LAST_LBA);
		struct gpt_partition *p = &out->partitions[out->n];

		if (memcmp(e + ENTRY_TYPE, unused, sizeof(unused)) == 0)
			continue;
		if (first > last || first < h->first_usable || last > h->last_usable)
			return error_set_kind(err, ERROR_INPUT, EUCLEAN,
			                      "the GPT's partition %u lies outside of what the "
			                      "header says is usable",
			                      i + 1);
		p->number = i + 1;
		p->start = first * d->block_size;
		p->size = (last - first + 1) * d->block_size;
		memcpy(p->type, e + ENTRY_TYPE, sizeof(p->type));
		memcpy(p->uuid, e + ENTRY_UUID, sizeof(p->uuid));
		out->n++;
	}
	return check_overlaps(out, err);
}

static int read_table(const struct disk *d, uint64_t lba, struct gpt *out, struct error *err)
{
	_cleanup_free_ uint8_t *entries = NULL;
	uint8_t block[4096];
	struct header h = {.n_entries = 0};
	size_t bytes;
	int r = read_blocks(d, lba, block, d->block_size, err);

	if (r == 0)
		r = parse_header(d, block, lba, &h, err);
	if (r < 0)
		return r;
	bytes = (size_t)h.n_entries * h.entry_size;
	entries = malloc(bytes + 1);
	if (!entries)
		return error_set(err, ENOMEM, "no memory for a partition table");
	r = read_blocks(d, h.entries_lba, entries, bytes, err);
	if (r == 0 && crc32_of(entries, bytes) != h.entries_crc)
		r = refuse(err, "the checksum of the GPT's entries does not hold");
	if (r == 0)
		r = parse_entries(d, &h, entries, out, err);
	if (r < 0)
		gpt_free(out);
	return r;
}

static int read_disk(const struct disk *d, struct gpt *out, struct error *err)
{
	int r;

	*out = (struct gpt){NULL, 0};
	if (d->block_size < MBR_SIZE || d->block_size > 4096 || d->block_size & (d->block_size - 1))
		return error_set(err, EINVAL, "blocks of %u bytes cannot be", d->block_size);
	if (d->blocks < 3)
		return refuse(err, "there is no room for a GPT");
	r = check_protective(d, err);
	if (r < 0)
		return r;
	r = read_table(d, 1, out, err);
	/* Of two that do not hold, the first one's trouble is told. */
	if (r == -EUCLEAN && read_table(d, d->blocks - 1, out, NULL) == 0) {
		error_clear(err);
		r = 0;
	}
	return r;
}

int gpt_read(int fd, uint64_t disk_size, uint32_t block_size, struct gpt *out, struct error *err)
{
	const struct disk d = {fd, NULL, block_size ? disk_size / block_size : 0, block_size};

	return read_disk(&d, out, err);
}

int gpt_parse(const uint8_t *disk, size_t size, uint32_t block_size, struct gpt *out,
              struct error *err)
{
	const struct disk d = {-1, disk, block_size ? size / block_size : 0, block_size};

	return read_disk(&d, out, err);
}

const struct gpt_partition *gpt_find(const struct gpt *gpt, uint32_t number)
{
	for (size_t i = 0; i < gpt->n; i++)
		if (gpt->partitions[i].number == number)
			return &gpt->partitions[i];
	return NULL;
}
