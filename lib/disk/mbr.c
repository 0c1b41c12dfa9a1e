/* SPDX-License-Identifier: Apache-2.0 */
/* mbr: a PC partition table as bytes and back (UEFI 2.10 §5.2.1 gives the fields). */
#include "lib/disk/mbr.h"

#include <errno.h>
#include <string.h>

#include "lib/base/bytes.h"

#define SECTOR 512u

enum {
	MBR_DISK_ID = 440,
	MBR_TABLE = 446,
	MBR_SIGNATURE = 510, /* 0x55 0xaa */
	ENTRY_BOOT = 0,      /* 0x80: active */
	ENTRY_CHS_FIRST = 1,
	ENTRY_TYPE = 4,
	ENTRY_CHS_LAST = 5,
	ENTRY_START = 8, /* sectors */
	ENTRY_COUNT = 12,
	ENTRY_SIZE = 16,
};

/* What is wrong with the entries for a disk of `size` bytes, or NULL. */
static const char *problem(const struct mbr *mbr, uint64_t size)
{
	for (unsigned int i = 0; i < MBR_ENTRIES; i++) {
		const struct mbr_partition *p = &mbr->partitions[i];

		if (p->size == 0)
			continue;
		if (p->start < SECTOR)
			return "begins in the partition table's own sector";
		if (p->start > size || p->size > size - p->start)
			return "goes beyond the end of the disk";
		for (unsigned int j = 0; j < i; j++) {
			const struct mbr_partition *q = &mbr->partitions[j];

			if (q->size > 0 && q->start < p->start + p->size &&
			    p->start < q->start + q->size)
				return "overlaps another one";
		}
	}
	return NULL;
}

int mbr_format(const struct mbr *mbr, uint8_t out[MBR_SIZE], struct error *err)
{
	static const uint8_t beyond_chs[3] = {0xfe, 0xff, 0xff};
	const char *wrong = problem(mbr, UINT64_MAX / 2);

	if (wrong)
		return error_set(err, EINVAL, "a partition %s", wrong);
	memset(out, 0, MBR_SIZE);
	put_le32(out + MBR_DISK_ID, mbr->id);
	out[MBR_SIGNATURE] = 0x55;
	out[MBR_SIGNATURE + 1] = 0xaa;
	for (unsigned int i = 0; i < MBR_ENTRIES; i++) {
		const struct mbr_partition *p = &mbr->partitions[i];
		uint8_t *e = out + MBR_TABLE + i * ENTRY_SIZE;

		if (p->size == 0)
			continue;
		if (p->start % SECTOR || p->size % SECTOR)
			return error_set(err, EINVAL, "a partition is not of whole sectors");
		if (p->start / SECTOR > UINT32_MAX || p->size / SECTOR > UINT32_MAX)
			return error_set(err, EFBIG,
			                 "a partition lies beyond the 2 TiB that an msdos label "
			                 "can address");
		e[ENTRY_BOOT] = p->boot ? 0x80 : 0;
		memcpy(e + ENTRY_CHS_FIRST, beyond_chs, sizeof(beyond_chs));
		e[ENTRY_TYPE] = p->type;
		memcpy(e + ENTRY_CHS_LAST, beyond_chs, sizeof(beyond_chs));
		put_le32(e + ENTRY_START, (uint32_t)(p->start / SECTOR));
		put_le32(e + ENTRY_COUNT, (uint32_t)(p->size / SECTOR));
	}
	return 0;
}

static int refuse(struct error *err, const char *what)
{
	return error_set_kind(err, ERROR_INPUT, EUCLEAN, "%s", what);
}

int mbr_parse(const uint8_t *data, size_t size, uint64_t disk_size, struct mbr *out,
              struct error *err)
{
	const char *wrong;

	*out = (struct mbr){0};
	if (size < MBR_SIZE || data[MBR_SIGNATURE] != 0x55 || data[MBR_SIGNATURE + 1] != 0xaa)
		return refuse(err, "there is no partition table");
	out->id = get_le32(data + MBR_DISK_ID);
	for (unsigned int i = 0; i < MBR_ENTRIES; i++) {
		const uint8_t *e = data + MBR_TABLE + i * ENTRY_SIZE;
		struct mbr_partition *p = &out->partitions[i];

		if (e[ENTRY_BOOT] & 0x7f)
			return refuse(err, "there is no partition table: a boot flag is neither "
			                   "set nor clear");
		if (e[ENTRY_TYPE] == 0)
			continue;
		p->boot = e[ENTRY_BOOT] == 0x80;
		p->type = e[ENTRY_TYPE];
		p->start = (uint64_t)get_le32(e + ENTRY_START) * SECTOR;
		p->size = (uint64_t)get_le32(e + ENTRY_COUNT) * SECTOR;
	}
	wrong = problem(out, disk_size);
	return wrong ? error_set_kind(err, ERROR_INPUT, EUCLEAN,
	                              "the partition table: a partition %s", wrong)
	             : 0;
}
