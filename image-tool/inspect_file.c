/* SPDX-License-Identifier: Apache-2.0 */
/* inspect_file: disks, file systems, initrds and kernels, as they are in a file. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "image-tool/inspect.h"
#include "image-tool/listing.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/cpio/unpack.h"
#include "lib/disk/dax_info.h"
#include "lib/disk/layout.h"
#include "lib/disk/mbr.h"
#include "lib/erofs/reader.h"
#include "lib/ext4/walk.h"
#include "lib/verity/verity.h"

static void report_uuid(struct report *r, const uint8_t uuid[16])
{
	char hex[33];

	verity_hex(uuid, 16, hex);
	report_stringf(r, "uuid", "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
	               hex + 20);
}

/* ---------------------------------------------------------------- files */

static void mode_text(uint32_t mode, char out[11])
{
	static const char types[16] = {
	    [S_IFREG >> 12] = '-',  [S_IFDIR >> 12] = 'd', [S_IFLNK >> 12] = 'l',
	    [S_IFCHR >> 12] = 'c',  [S_IFBLK >> 12] = 'b', [S_IFIFO >> 12] = 'p',
	    [S_IFSOCK >> 12] = 's',
	};
	static const char bits[] = "rwxrwxrwx";

	out[0] = types[mode >> 12 & 15] ?: '?';
	for (int i = 0; i < 9; i++)
		out[i + 1] = mode >> (8 - i) & 1 ? bits[i] : '-';
	if (mode & S_ISUID)
		out[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		out[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		out[9] = mode & S_IXOTH ? 't' : 'T';
	out[10] = 0;
}

static void report_entry(struct report *r, const struct listed *e)
{
	_cleanup_buffer_ struct buffer path = BUFFER_INIT;
	char mode[11], at[24] = "", device[24] = "";

	mode_text(e->mode, mode);
	if (e->offset != LISTING_NOWHERE)
		snprintf(at, sizeof(at), "%" PRIu64, e->offset);
	if (S_ISCHR(e->mode) || S_ISBLK(e->mode))
		snprintf(device, sizeof(device), "%u,%u", e->rdev_major, e->rdev_minor);
	buffer_str(&path, "/");
	report_quote(&path, e->path);
	if (e->target) {
		buffer_str(&path, " -> ");
		report_quote(&path, e->target);
	}
	if (device[0])
		report_item(r, "%s %3u:%-3u %11s %11s %-10s %s", mode, e->uid, e->gid, device, "",
		            "", buffer_cstr(&path));
	else
		report_item(r, "%s %3u:%-3u %11" PRIu64 " %11s %-10s %s", mode, e->uid, e->gid,
		            e->size, at, e->layout ?: "", buffer_cstr(&path));
	report_stringf(r, "path", "/%s", e->path);
	report_string(r, "mode", mode);
	report_number(r, "uid", e->uid);
	report_number(r, "gid", e->gid);
	report_number(r, "links", e->nlink);
	report_signed(r, "mtime", e->mtime);
	report_number(r, "size", e->size);
	if (device[0])
		report_string(r, "device", device);
	if (at[0])
		report_number(r, "offset", e->offset);
	report_string(r, "layout", e->layout);
	report_string(r, "target", e->target);
	if (S_ISREG(e->mode) && e->size > 0)
		report_flag(r, "dax", e->dax);
	report_end(r);
}

static unsigned int percent(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : (unsigned int)((double)part * 100 / (double)whole);
}

static void report_share(struct report *r, const struct listing_share *s)
{
	report_number(r, "files", s->files);
	report_number(r, "file_bytes", s->bytes);
	if (r->json) {
		report_number(r, "dax_4k_bytes", s->small_bytes);
		report_number(r, "dax_2m_bytes", s->huge_bytes);
		return;
	}
	report_stringf(r, "dax", "%u %% in 4 KiB pages, %u %% in 2 MiB pages",
	               percent(s->small_bytes, s->bytes), percent(s->huge_bytes, s->bytes));
}

static int report_listing(struct report *r, const struct place *place, enum probe_type type,
                          bool files, struct error *err)
{
	_cleanup_listing_ struct listing *l = NULL;
	int e = listing_load(place, type, files ? LISTING_DIGESTS : LISTING_NAMES, &l, err);

	if (e < 0)
		return e;
	report_number(r, "entries", l->n);
	report_share(r, &l->share);
	if (!files)
		return 0;
	report_list(r, "contents");
	for (size_t i = 0; i < l->n; i++)
		report_entry(r, &l->entries[i]);
	report_end(r);
	return 0;
}

/* ---------------------------------------------------------------- file systems */

struct feature {
	uint32_t bit;
	const char *name;
};

/* fs/erofs/erofs_fs.h; the names are those that dump.erofs prints. */
static const struct feature erofs_compat[] = {
    {1u << 0, "sb_csum"}, {1u << 1, "mtime"}, {1u << 2, "xattr_filter"}, {0}};
static const struct feature erofs_incompat[] = {
    {1u << 0, "0padding"},       {1u << 1, "big_pcluster"},
    {1u << 2, "chunked_file"},   {1u << 3, "device_table"},
    {1u << 4, "ztailpacking"},   {1u << 5, "fragments"},
    {1u << 6, "xattr_prefixes"}, {0}};

static void add_features(struct buffer *out, const struct feature *f, uint32_t word)
{
	for (; f->bit; f++) {
		if (word & f->bit)
			buffer_printf(out, "%s%s", out->size ? " " : "", f->name);
		word &= ~f->bit;
	}
	if (word)
		buffer_printf(out, "%sunknown:0x%x", out->size ? " " : "", word);
}

static int inspect_erofs(struct report *r, const struct place *place, struct error *err)
{
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	_cleanup_buffer_ struct buffer features = BUFFER_INIT;
	const struct erofs_super *s;
	const uint8_t *map = NULL;
	int e = place_map(place, &map, err);

	if (e == 0)
		e = erofs_open_memory(&image, map, place->size, err);
	if (e == 0) {
		s = erofs_super(image);
		add_features(&features, erofs_compat, s->feature_compat);
		add_features(&features, erofs_incompat, s->feature_incompat);
		report_number(r, "block_size", 4096);
		report_number(r, "blocks", s->blocks);
		report_number(r, "inodes", s->inodes);
		report_uuid(r, s->uuid);
		report_string(r, "label", s->volume_name[0] ? s->volume_name : NULL);
		report_signed(r, "built", s->build_time);
		report_string(r, "features", buffer_cstr(&features));
		report_string(r, "checksum",
		              !s->has_checksum ? "none"
		              : s->checksum_ok ? "holds"
		                               : "does not hold");
	}
	erofs_close(steal_ptr(&image));
	place_unmap(place, map);
	return e;
}

static int inspect_ext4(struct report *r, const struct place *place, struct error *err)
{
	_cleanup_ext4_image_ struct ext4_image *image = NULL;
	struct ext4_summary s;
	int e = ext4_open(&image, place->fd, place->offset, place->size, err);

	if (e < 0)
		return e;
	ext4_summarize(image, &s);
	report_number(r, "block_size", s.block_size);
	report_number(r, "blocks", s.blocks);
	report_number(r, "free_blocks", s.free_blocks);
	report_number(r, "inodes", s.inodes);
	report_number(r, "free_inodes", s.free_inodes);
	report_uuid(r, s.uuid);
	report_string(r, "label", s.label[0] ? s.label : NULL);
	report_string(r, "features", s.features);
	report_flag(r, "journal", s.journal);
	if (s.needs_recovery)
		report_flag(r, "needs_recovery", true);
	return 0;
}

static int inspect_initrd(struct report *r, const struct place *place, struct error *err)
{
	uint8_t head[UNPACK_HEAD] = {0};
	size_t n = place->size < sizeof(head) ? (size_t)place->size : sizeof(head);
	int e = fs_pread_all(place->fd, head, n, place->offset);

	if (e < 0)
		return error_errno(err, -e, "cannot read the initrd");
	report_string(r, "compression", unpack_method(head, n));
	return 0;
}

/* ---------------------------------------------------------------- the others */

static int inspect_verity(struct report *r, const struct place *place, struct error *err)
{
	uint8_t block[VERITY_SUPER_SIZE];
	char salt[2 * VERITY_SALT_MAX + 1] = "";
	struct verity v;
	int e = place->size < sizeof(block)
	            ? -ENODATA
	            : fs_pread_all(place->fd, block, sizeof(block), place->offset);

	if (e < 0)
		return error_set_kind(err, ERROR_INPUT, EUCLEAN, "the hash tree is cut short");
	e = verity_super_parse(block, sizeof(block), &v, err);
	if (e < 0)
		return e;
	verity_hex(v.salt, v.salt_size, salt);
	report_uuid(r, v.uuid);
	report_number(r, "data_blocks", v.data_blocks);
	report_number(r, "block_size", VERITY_BLOCK_SIZE);
	report_string(r, "salt", salt);
	return 0;
}

static int inspect_kernel(struct report *r, const struct place *place, struct error *err)
{
	struct kernel_image k;
	int e = kernel_image_read(place, &k, err);

	if (e < 0)
		return e;
	report_string(r, "version", k.version);
	if (k.pvh_entry)
		report_stringf(r, "pvh_entry", "0x%" PRIx64, k.pvh_entry);
	return 0;
}

static int inspect_gpt(struct report *r, const struct place *place, struct error *err)
{
	return error_set_kind(err, ERROR_INPUT, EOPNOTSUPP,
	                      "it is a disk with a GPT, whose partitions are not looked into; "
	                      "`sfdisk --dump` lists them");
}

static const struct inspector {
	enum probe_type type;
	int (*fn)(struct report *r, const struct place *place, struct error *err);
	bool lists; /* it holds files */
} inspectors[] = {
    {PROBE_EROFS, inspect_erofs, true},   {PROBE_EXT4, inspect_ext4, true},
    {PROBE_INITRD, inspect_initrd, true}, {PROBE_VERITY, inspect_verity, false},
    {PROBE_ELF, inspect_kernel, false},   {PROBE_BZIMAGE, inspect_kernel, false},
    {PROBE_GPT, inspect_gpt, false},
};

/* ---------------------------------------------------------------- disks */

static int read_table(const struct place *place, uint64_t at, struct mbr *out, struct error *err)
{
	uint8_t sector[MBR_SIZE];
	int e = place->size < at + MBR_SIZE
	            ? -ENODATA
	            : fs_pread_all(place->fd, sector, sizeof(sector), place->offset + at);

	if (e < 0)
		return error_set_kind(err, ERROR_INPUT, EUCLEAN,
		                      "the disk ends before its partition table");
	return mbr_parse(sector, sizeof(sector), place->size - at, out, err);
}

static struct place part_place(const struct place *disk, uint64_t from,
                               const struct mbr_partition *p)
{
	return (struct place){disk->fd, disk->offset + from + p->start, p->size};
}

static int inspect_plain(struct report *r, const struct place *place, bool files,
                         struct error *err);

/* Offsets are the file's, also of the table of a pmem device, which begins at `from`. */
static int report_table(struct report *r, const char *key, const struct place *disk, uint64_t from,
                        const struct mbr *mbr, struct error *err)
{
	report_list(r, key);
	for (unsigned int i = 0; i < MBR_ENTRIES; i++) {
		const struct mbr_partition *p = &mbr->partitions[i];
		struct place place = part_place(disk, from, p);
		enum probe_type type;
		int e;

		if (p->size == 0)
			continue;
		e = probe_place(&place, &type, err);
		if (e < 0)
			return e;
		report_item(r, "%u at %" PRIu64 ", %" PRIu64 " bytes, type 0x%02x%s, %s", i + 1,
		            place.offset, p->size, p->type, p->boot ? ", active" : "",
		            probe_name(type));
		report_number(r, "number", i + 1);
		report_number(r, "offset", place.offset);
		report_number(r, "size", p->size);
		report_stringf(r, "type", "0x%02x", p->type);
		report_flag(r, "active", p->boot);
		report_string(r, "content", probe_name(type));
		report_end(r);
	}
	report_end(r);
	return 0;
}

static int report_partitions(struct report *r, const struct place *disk, const struct mbr *mbr,
                             bool files, struct error *err)
{
	char key[16];
	int e = 0;

	for (unsigned int i = 0; e == 0 && i < MBR_ENTRIES; i++) {
		struct place place = part_place(disk, 0, &mbr->partitions[i]);

		if (place.size == 0)
			continue;
		snprintf(key, sizeof(key), "partition%u", i + 1);
		report_object(r, key);
		e = inspect_plain(r, &place, files, err);
		report_end(r);
		if (e < 0)
			return error_prefix(err, e, "partition %u", i + 1);
	}
	return e;
}

static int inspect_dax(struct report *r, const struct place *disk, struct error *err)
{
	uint8_t block[DAX_INFO_SIZE];
	struct dax_info info;
	struct mbr pmem;
	int e = fs_pread_all(disk->fd, block, sizeof(block), disk->offset + DAX_INFO_OFFSET);

	e = e < 0 ? error_errno(err, -e, "cannot read the DAX information block")
	          : dax_info_parse(block, sizeof(block), &info, err);
	if (e < 0)
		return e;
	report_object(r, "dax_block");
	report_number(r, "data_offset", info.data_offset);
	report_number(r, "align", info.align);
	report_end(r);
	if (info.data_offset > disk->size)
		return error_set_kind(err, ERROR_INPUT, EUCLEAN,
		                      "the disk ends before the pmem device that it describes");
	e = read_table(disk, info.data_offset, &pmem, err);
	return e < 0 ? error_prefix(err, e, "as a pmem device")
	             : report_table(r, "pmem_partitions", disk, info.data_offset, &pmem, err);
}

static int inspect_disk(struct report *r, const struct place *disk, enum probe_type type,
                        bool files, struct error *err)
{
	struct disk_layout layout;
	struct mbr mbr;
	int e = read_table(disk, 0, &mbr, err);

	if (e == 0)
		e = report_table(r, "partitions", disk, 0, &mbr, err);
	if (e == 0 && type == PROBE_KATA)
		e = inspect_dax(r, disk, err);
	/* That both tables say the same, too. */
	if (e == 0 && type == PROBE_KATA)
		e = disk_layout_read(disk->fd, &layout, err);
	return e < 0 ? e : report_partitions(r, disk, &mbr, files, err);
}

/* Anything but a disk: what a partition may hold. */
static int inspect_plain(struct report *r, const struct place *place, bool files, struct error *err)
{
	enum probe_type type;
	int e = probe_place(place, &type, err);

	if (e < 0)
		return e;
	report_number(r, "size", place->size);
	report_string(r, "type", probe_name(type));
	for (size_t i = 0; i < sizeof(inspectors) / sizeof(*inspectors); i++) {
		if (inspectors[i].type != type)
			continue;
		e = inspectors[i].fn(r, place, err);
		if (e == 0 && inspectors[i].lists)
			e = report_listing(r, place, type, files, err);
	}
	return e;
}

int inspect_place(struct report *r, const struct place *place, bool files, struct error *err)
{
	enum probe_type type;
	int e = probe_place(place, &type, err);

	if (e < 0)
		return e;
	if (type != PROBE_KATA && type != PROBE_DISK)
		return inspect_plain(r, place, files, err);
	report_number(r, "size", place->size);
	report_string(r, "type", probe_name(type));
	return inspect_disk(r, place, type, files, err);
}
