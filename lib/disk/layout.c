/* SPDX-License-Identifier: Apache-2.0 */
/* layout: plans, writes and reads the head of a disk image for Kata. */
#include "lib/disk/layout.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/disk/dax_info.h"

#define MIB       (1u << 20)
#define DAX_ALIGN (2u << 20)

int disk_layout_plan(uint64_t root_size, uint64_t hash_size, struct disk_layout *out,
                     struct error *err)
{
	uint64_t end;

	*out = (struct disk_layout){.root_start = DISK_ROOT_START};
	if (root_size == 0)
		return error_set(err, EINVAL, "a disk needs a root file system");
	/* The largest that an msdos label addresses is 2 TiB. */
	if (root_size > UINT64_C(1) << 40 || hash_size > UINT64_C(1) << 40)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "the root file system is too large for a disk image");
	align_up64(root_size, 4096, &out->root_size);
	end = out->root_start + out->root_size;
	if (hash_size > 0) {
		align_up64(hash_size, 4096, &out->hash_size);
		align_up64(end, MIB, &out->hash_start);
		end = out->hash_start + out->hash_size;
	}
	align_up64(end, DAX_ALIGN, &out->size);
	return 0;
}

/* The table of a disk that begins at byte `from` of the file. */
static struct mbr table(const struct disk_layout *l, uint64_t from, uint32_t id)
{
	struct mbr mbr = {.id = id};

	/* Kata's builder sets the boot flag on measured images; so do we. */
	mbr.partitions[0] = (struct mbr_partition){l->root_start - from, l->root_size,
	                                           MBR_TYPE_LINUX, l->hash_size > 0};
	if (l->hash_size > 0)
		mbr.partitions[1] = (struct mbr_partition){l->hash_start - from, l->hash_size,
		                                           MBR_TYPE_LINUX, false};
	return mbr;
}

int disk_layout_write(const struct disk_layout *l, int fd, uint32_t id, struct error *err)
{
	static const struct dax_info info = {.data_offset = DISK_DAX_START, .align = DAX_ALIGN};
	static const uint64_t starts[] = {0, DISK_DAX_START};
	uint8_t block[DAX_INFO_SIZE];
	int r;

	for (size_t i = 0; i < 2; i++) {
		const struct mbr mbr = table(l, starts[i], id);

		r = mbr_format(&mbr, block, err);
		if (r < 0)
			return r;
		r = fs_pwrite_all(fd, block, MBR_SIZE, starts[i]);
		if (r < 0)
			return error_errno(err, -r, "cannot write a partition table");
	}
	dax_info_format(&info, block);
	r = fs_pwrite_all(fd, block, sizeof(block), DAX_INFO_OFFSET);
	return r < 0 ? error_errno(err, -r, "cannot write the DAX information block") : 0;
}

static int disagree(struct error *err, const char *what)
{
	return error_set_kind(err, ERROR_INPUT, EUCLEAN, "the disk image %s", what);
}

static bool same_table(const struct mbr *a, uint64_t shift, const struct mbr *b)
{
	for (unsigned int i = 0; i < MBR_ENTRIES; i++) {
		const struct mbr_partition *p = &a->partitions[i], *q = &b->partitions[i];

		if (p->size != q->size || (p->size > 0 && p->start != q->start + shift))
			return false;
	}
	return true;
}

int disk_layout_read(int fd, struct disk_layout *out, struct error *err)
{
	uint8_t block[DAX_INFO_SIZE];
	struct dax_info info;
	struct mbr plain, pmem;
	struct stat st;
	int r;

	*out = (struct disk_layout){0};
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "cannot read the disk image");
	r = fs_pread_all(fd, block, sizeof(block), DAX_INFO_OFFSET);
	if (r < 0)
		return r == -ENODATA ? 1 : error_errno(err, -r, "cannot read the disk image");
	r = dax_info_parse(block, sizeof(block), &info, err);
	if (r != 0)
		return r;
	out->size = (uint64_t)st.st_size;
	r = fs_pread_all(fd, block, MBR_SIZE, 0);
	if (r == 0)
		r = mbr_parse(block, MBR_SIZE, out->size, &plain, err);
	else
		error_errno(err, -r, "cannot read the disk image");
	if (r < 0)
		return r;
	if (info.data_offset > out->size || out->size - info.data_offset < MBR_SIZE)
		return disagree(err, "ends before the pmem device that it describes");
	r = fs_pread_all(fd, block, MBR_SIZE, info.data_offset);
	if (r < 0)
		return error_errno(err, -r, "cannot read the disk image");
	r = mbr_parse(block, MBR_SIZE, out->size - info.data_offset, &pmem, err);
	if (r < 0)
		return error_prefix(err, r, "as a pmem device");
	if (!same_table(&plain, info.data_offset, &pmem))
		return disagree(err, "has two partition tables that do not say the same");
	if (plain.partitions[0].size == 0)
		return disagree(err, "has no first partition");
	out->root_start = plain.partitions[0].start;
	out->root_size = plain.partitions[0].size;
	out->hash_start = plain.partitions[1].start;
	out->hash_size = plain.partitions[1].size;
	return 0;
}
