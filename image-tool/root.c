/* SPDX-License-Identifier: Apache-2.0 */
/* root: EROFS, ext4 or an initrd; alone, with its hash tree behind it, or in a disk for Kata. */
#include "image-tool/root.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image-tool/initrd.h"
#include "image-tool/tool.h"
#include "lib/base/fs.h"
#include "lib/disk/layout.h"
#include "lib/erofs/reader.h"
#include "lib/erofs/writer.h"
#include "lib/ext4/ext4.h"
#include "lib/verity/verity.h"

#define SCRATCH   "root.tmp"
#define FS_FILE   "fs.tmp"
#define PMEM_SIZE (2u << 20) /* what a guest maps a multiple of */
#define HASH_GAP  (1u << 20) /* a disk's hash tree begins on the next MiB */
/* Where a runtime plugs in memory, QEMU puts it right behind the disk's NVDIMM, and Linux takes it
 * only on a boundary of its memory blocks (check_hotplug_memory_range()): 128 MiB in guests that
 * begin with less than 64 GiB. The rest of the file is a hole. */
#define DISK_SIZE (128u << 20)

struct making {
	const struct root_request *req;
	const struct root_plan *plan;
	struct guestimg *img;
	const char *file; /* of the format */
	const char *type; /* of the file system */
	uint64_t size;    /* asked for, in bytes that a guest can map; 0: the least */
	uint8_t uuid[16]; /* of the file system, made from what is in it */
};

struct format {
	const char *name, *file, *type; /* type NULL: as asked for */
	int (*make)(struct making *m, struct error *err);
	const char *cmdline; /* words that this format needs on every machine */
};

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory to make the root file system");
}

/* ---------------------------------------------------------------- file systems */

static int take_compression(const struct making *m, struct erofs_compression *out,
                            struct error *err)
{
	const struct compression *c = &m->plan->compression;
	char word[32];

	if (strcmp(m->type, "erofs") != 0 || strcmp(c->method, "none") == 0)
		return 0;
	snprintf(word, sizeof(word), c->level ? "%s,%u" : "%s", c->method, c->level);
	return erofs_compression_parse(word, out, err);
}

static int write_erofs(struct making *m, int fd, struct error *err)
{
	struct erofs_write_opts opts = EROFS_WRITE_OPTS_IMAGE;
	int r = take_compression(m, &opts.compression, err);

	if (r < 0)
		return r;
	opts.build_time = m->req->mtime;
	opts.interrupted = tool_interrupted;
	snprintf(opts.volume_name, sizeof(opts.volume_name), "kihon");
	r = erofs_write_tree(m->req->tree, fd, &opts, NULL, err);
	if (r < 0 && err && (r == -ENOSPC || r == -EDQUOT))
		err->kind = ERROR_ENVIRONMENT;
	return r < 0
	           ? error_prefix(err, r, "writing the root file system to %s", m->req->stage->dir)
	           : 0;
}

/* SHA-256 of a file of the stage. */
static int digest(struct making *m, const char *name, char sha256[65], struct error *err)
{
	_cleanup_close_ int dir = open(m->req->stage->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	uint64_t size;

	if (dir < 0)
		return error_errno(err, errno, "cannot read %s", m->req->stage->path);
	return measure_file(dir, name, sha256, &size, err);
}

/* An image is named by what is in it: the UUID is the digest of the EROFS image with none, in the
 * form of RFC 9562 version 8. */
static int write_source(struct making *m, const char *name, int *fd, struct error *err)
{
	char sha256[65];
	uint8_t bytes[32];
	int r = stage_create(m->req->stage, name, fd, err);

	if (r == 0)
		r = write_erofs(m, *fd, err);
	if (r == 0)
		r = digest(m, name, sha256, err);
	if (r < 0)
		return r;
	verity_unhex(sha256, bytes, sizeof(bytes));
	memcpy(m->uuid, bytes, sizeof(m->uuid));
	m->uuid[6] = (uint8_t)((m->uuid[6] & 0x0f) | 0x80);
	m->uuid[8] = (uint8_t)((m->uuid[8] & 0x3f) | 0x80);
	return 0;
}

static int make_erofs(struct making *m, const char *name, struct error *err)
{
	_cleanup_close_ int fd = -1;
	int r = write_source(m, name, &fd, err);

	return r < 0 ? r : erofs_set_uuid(fd, m->uuid, err);
}

/* Bytes that a file of `total` bytes has for its file system, whole blocks. */
static uint64_t room_in(const struct making *m, uint64_t total)
{
	bool disk = strcmp(m->plan->format->name, "kata") == 0;
	uint64_t taken = disk ? DISK_ROOT_START : 0, tree = 0;

	if (m->req->verity && verity_tree_size(total / VERITY_BLOCK_SIZE, false, &tree, NULL) == 0)
		taken += tree + (disk ? HASH_GAP : 0);
	return total > taken ? (total - taken) & ~(uint64_t)(VERITY_BLOCK_SIZE - 1) : 0;
}

static int too_small(const struct making *m, uint64_t fs_size, struct error *err)
{
	uint64_t total = 0;

	while (room_in(m, total) < fs_size)
		total += PMEM_SIZE;
	return error_set_kind(err, ERROR_INPUT, ENOSPC,
	                      "--size %" PRIu64 "M is too small: the files need %" PRIu64
	                      "M; give that or more",
	                      m->size >> 20, total >> 20);
}

static int make_ext4(struct making *m, const char *name, bool journal, struct error *err)
{
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	_cleanup_close_ int from = -1, to = -1;
	struct ext4_write_opts opts = {.label = "kihon",
	                               .time = m->req->mtime,
	                               .journal = journal,
	                               .interrupted = tool_interrupted};
	struct ext4_write_stats stats;
	int r = write_source(m, SCRATCH, &from, err);

	memcpy(opts.uuid, m->uuid, sizeof(opts.uuid));
	opts.size = room_in(m, m->size);
	if (m->size > 0 && opts.size == 0)
		opts.size = VERITY_BLOCK_SIZE; /* too little for any */
	if (r == 0)
		r = erofs_open_fd(&image, from, err);
	if (r == 0)
		r = stage_create(m->req->stage, name, &to, err);
	if (r == 0)
		r = ext4_write(image, to, &opts, &stats, err);
	return r > 0 ? too_small(m, stats.size, err) : r;
}

static int make_initrd(struct making *m, struct error *err)
{
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	_cleanup_close_ int from = -1, to = -1;
	int r = stage_create(m->req->stage, SCRATCH, &from, err);

	if (r == 0)
		r = write_erofs(m, from, err);
	if (r == 0)
		r = erofs_open_fd(&image, from, err);
	if (r == 0)
		r = stage_create(m->req->stage, m->file, &to, err);
	return r < 0 ? r : initrd_write(image, to, &m->plan->compression, err);
}

static int make_fs(struct making *m, const char *name, bool journal, struct error *err)
{
	return strcmp(m->type, "ext4") == 0 ? make_ext4(m, name, journal, err)
	                                    : make_erofs(m, name, err);
}

/* ---------------------------------------------------------------- words */

struct devices {
	const char *data, *hash;
	uint64_t hash_offset; /* in `hash` */
	const char *rootflags;
};

/* The kernel's words for a root on these devices. */
static int root_words(struct making *m, const struct verity *v, const struct devices *d,
                      const char **out, struct error *err)
{
	_cleanup_buffer_ struct buffer words = BUFFER_INIT;
	const struct verity_device dev = {"kihon-root", d->data, d->hash, d->hash_offset, false};
	int r = v ? verity_kernel_words(v, &dev, &words, err) : 0;

	if (r < 0)
		return r;
	/* A mapped device has no DAX. */
	buffer_printf(&words, "%sroot=%s rootfstype=%s%s ro", v ? " " : "",
	              v ? "/dev/dm-0" : d->data, m->type, v ? "" : d->rootflags);
	*out = arena_strdup(&m->img->arena, buffer_cstr(&words));
	return words.failed || !*out ? no_memory(err) : 0;
}

static int both_words(struct making *m, const struct verity *v, bool disk, uint64_t hash_offset,
                      struct error *err)
{
	const struct devices blk = {disk ? "/dev/vda1" : "/dev/vda",
	                            disk ? "/dev/vda2" : "/dev/vda", hash_offset, ""};
	const struct devices pmem = {disk ? "/dev/pmem0p1" : "/dev/pmem0",
	                             disk ? "/dev/pmem0p2" : "/dev/pmem0", hash_offset,
	                             " rootflags=dax=always"};
	int r = root_words(m, v, &blk, &m->img->rootfs.words_blk, err);

	return r < 0 ? r : root_words(m, v, &pmem, &m->img->rootfs.words_pmem, err);
}

/* ---------------------------------------------------------------- hash trees */

/* The salt is the digest of what is hashed: no two images share hashes, one image always has
 * the same. */
static int add_tree(struct making *m, struct verity *v, const char *salted, int fd,
                    uint64_t data_offset, uint64_t hash_offset, struct error *err)
{
	const struct verity_place place = {fd,          data_offset, fd,
	                                   hash_offset, false,       tool_interrupted};
	struct guestimg_verity *out = &m->img->verity;
	char hex[65];
	int r = digest(m, salted, hex, err);

	if (r < 0)
		return r;
	v->salt_size = 32;
	verity_unhex(hex, v->salt, v->salt_size);
	out->salt = arena_strdup(&m->img->arena, hex);
	r = verity_format(v, &place, err);
	if (r < 0)
		return r;
	verity_hex(v->root, sizeof(v->root), hex);
	out->root_hash = arena_strdup(&m->img->arena, hex);
	out->data_blocks = v->data_blocks;
	out->data_offset = data_offset;
	out->hash_offset = hash_offset;
	return m->img->arena.failed ? no_memory(err) : 0;
}

static int file_size(int fd, uint64_t *size, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "cannot read the root file system");
	*size = (uint64_t)st.st_size;
	return 0;
}

/* Pads the image to what a guest maps, with the tree behind the data where one is asked for. */
static int complete_plain(struct making *m, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/%s", m->req->stage->path, m->file);
	_cleanup_close_ int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	struct verity v = {0};
	uint64_t size = 0, tree = 0, end;
	int r =
	    fd < 0 ? error_errno(err, errno, "cannot read %s", m->file) : file_size(fd, &size, err);

	if (r < 0)
		return r;
	v.data_blocks = size / VERITY_BLOCK_SIZE;
	if (m->req->verity) {
		r = verity_tree_size(v.data_blocks, false, &tree, err);
		if (r == 0)
			r = add_tree(m, &v, m->file, fd, 0, size, err);
	}
	if (r < 0)
		return r;
	if (!align_up64(size + tree, PMEM_SIZE, &end) ||
	    ftruncate(fd, (off_t)(end > m->size ? end : m->size)) < 0)
		return error_errno(err, errno, "cannot write %s", m->file);
	return m->req->verity || strcmp(m->type, "erofs") != 0
	           ? both_words(m, m->req->verity ? &v : NULL, false, size, err)
	           : 0;
}

/* ---------------------------------------------------------------- a disk for Kata */

/* Between two looks whether to go on. */
#define COPY_PIECE (16 << 20)

static int copy_data(int from, int to, uint64_t at, off_t start, off_t end, struct error *err)
{
	off_t in = start, out = (off_t)at + start;

	while (in < end) {
		size_t want = end - in < COPY_PIECE ? (size_t)(end - in) : COPY_PIECE;
		ssize_t n = copy_file_range(from, &in, to, &out, want, 0);

		if (tool_interrupted())
			return error_set(err, EINTR, "interrupted");
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(err, n < 0 ? errno : EIO, "cannot write the disk image");
	}
	return 0;
}

/* Holes stay holes: a file system of a size that was asked for is mostly that. */
static int copy_range(int from, int to, uint64_t at, uint64_t size, struct error *err)
{
	off_t start = 0, end = 0;
	int r = 0;

	while (r == 0 && !tool_interrupted()) {
		start = lseek(from, end, SEEK_DATA);
		if (start < 0 && errno == ENXIO)
			return 0;
		end = start < 0 ? -1 : lseek(from, start, SEEK_HOLE);
		if (end < 0)
			return error_errno(err, errno, "cannot read the root file system");
		end = (uint64_t)end < size ? end : (off_t)size;
		r = copy_data(from, to, at, start, end, err);
	}
	return r == 0 ? error_set(err, EINTR, "interrupted") : r;
}

/* The line that Kata's builder writes and its configuration takes (kernel_verity_params). */
static int write_params(struct making *m, struct error *err)
{
	const struct guestimg_verity *v = &m->img->verity;
	_cleanup_close_ int fd = -1;
	int r = stage_create(m->req->stage, ROOT_VERITY_FILE, &fd, err);

	if (r == 0 && dprintf(fd,
	                      "root_hash=%s,salt=%s,data_blocks=%llu,data_block_size=%u,"
	                      "hash_block_size=%u\n",
	                      v->root_hash, v->salt, (unsigned long long)v->data_blocks,
	                      VERITY_BLOCK_SIZE, VERITY_BLOCK_SIZE) < 0)
		r = error_errno(err, errno, "cannot write " ROOT_VERITY_FILE);
	return r;
}

static int fill_disk(struct making *m, int from, int fd, uint64_t size, struct error *err)
{
	struct verity v = {.data_blocks = size / VERITY_BLOCK_SIZE};
	struct disk_layout l;
	uint64_t tree = 0;
	int r = m->req->verity ? verity_tree_size(v.data_blocks, false, &tree, err) : 0;

	if (r == 0)
		r = disk_layout_plan(size, tree, &l, err);
	if (r == 0 && m->size > 0 && l.size > m->size)
		r = too_small(m, size, err);
	if (r == 0 && m->size == 0)
		align_up64(l.size, DISK_SIZE, &l.size);
	if (r == 0 && l.size < m->size)
		l.size = m->size;
	if (r == 0 && ftruncate(fd, (off_t)l.size) < 0)
		r = error_errno(err, errno, "cannot write %s", m->file);
	if (r == 0)
		r = disk_layout_write(&l, fd, get_le32(m->uuid), err);
	if (r == 0)
		r = copy_range(from, fd, l.root_start, size, err);
	if (r == 0 && m->req->verity)
		r = add_tree(m, &v, FS_FILE, fd, l.root_start, l.hash_start, err);
	if (r == 0 && m->req->verity)
		r = write_params(m, err);
	return r < 0 ? r : both_words(m, m->req->verity ? &v : NULL, true, 0, err);
}

static int make_kata(struct making *m, struct error *err)
{
	_cleanup_close_ int from = -1, to = -1;
	_cleanup_free_ char *path = str_printf("%s/" FS_FILE, m->req->stage->path);
	uint64_t size = 0;
	int r = path ? make_fs(m, FS_FILE, true, err) : no_memory(err);

	if (r < 0)
		return r;
	from = open(path, O_RDONLY | O_CLOEXEC);
	r = from < 0 ? error_errno(err, errno, "cannot read %s", path)
	             : file_size(from, &size, err);
	if (r == 0)
		r = stage_create(m->req->stage, m->file, &to, err);
	if (r == 0)
		r = fill_disk(m, from, to, size, err);
	m->img->rootfs.type = m->type;
	return r;
}

/* ---------------------------------------------------------------- formats */

static int make_plain(struct making *m, struct error *err)
{
	int r = make_fs(m, m->file, false, err);

	return r < 0 ? r : complete_plain(m, err);
}

static const struct format formats[] = {
    {"erofs", "rootfs.erofs", "erofs", make_plain, "ro rootfstype=erofs"},
    {"initrd", "rootfs.cpio", "initrd", make_initrd, ""},
    {"ext4", "rootfs.ext4", "ext4", make_plain, ""},
    {"kata", "kata-containers.img", NULL, make_kata, ""},
};

static const struct format *find(const char *name)
{
	const struct format *f = formats;

	while (strcmp(f->name, name) != 0)
		f++;
	return f;
}

int root_plan(const struct root_request *req, struct root_plan *plan, struct error *err)
{
	const struct format *f = find(req->format);
	const char *wrong = NULL;
	int r;

	if (req->fs_type && f->type)
		wrong = "--root-fs is for --format kata; the other formats say it already";
	else if (req->verity && f->make == make_initrd)
		wrong = "--verity needs a block device; an initrd is in memory";
	else if (req->size > 0 && f->make != make_kata && strcmp(f->name, "ext4") != 0)
		wrong = "--size is for --format ext4 and kata; the others are as large as they "
		        "must be";
	if (wrong)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "%s", wrong);
	*plan = (struct root_plan){.format = f, .fs_type = f->type ?: req->fs_type ?: "erofs"};
	r = compression_choose(&plan->compression, req->compress, plan->fs_type, err);
	if (r == 0 && req->hot &&
	    (strcmp(plan->fs_type, "erofs") != 0 || strcmp(plan->compression.method, "none") == 0))
		r = error_set_kind(err, ERROR_USAGE, EINVAL,
		                   "--hot says what stays plain in a packed erofs root: give "
		                   "--compress lz4 or lz4hc, too");
	snprintf(plan->file, sizeof(plan->file), "%s%s", f->file, plan->compression.suffix ?: "");
	return r;
}

int root_make(const struct root_request *req, const struct root_plan *plan, struct guestimg *img,
              struct error *err)
{
	const struct format *f = plan->format;
	struct making m = {
	    .req = req, .plan = plan, .img = img, .file = plan->file, .type = plan->fs_type};

	if (!align_up64(req->size, PMEM_SIZE, &m.size))
		return error_set_kind(err, ERROR_USAGE, EFBIG, "--size is too large");
	img->rootfs.file = arena_strdup(&img->arena, plan->file);
	img->rootfs.format = f->name;
	img->cmdline = f->cmdline;
	return img->rootfs.file ? f->make(&m, err) : no_memory(err);
}
