/* SPDX-License-Identifier: Apache-2.0 */
/* verify_root: whether a root file system is sound, whatever its format. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image-tool/listing.h"
#include "image-tool/root.h"
#include "image-tool/verify.h"
#include "lib/base/fs.h"
#include "lib/disk/layout.h"
#include "lib/erofs/reader.h"
#include "lib/ext4/walk.h"
#include "lib/verity/verity.h"

#define PARAMS_MAX 4096u /* bytes of root_hash.txt */

static int wrong(struct error *err, const char *what)
{
	return error_set_kind(err, ERROR_VERIFICATION, EBADMSG, "%s", what);
}

/* ---------------------------------------------------------------- where it is */

/* Where the file system is in the root's file: all of it, or the first partition of a disk. */
static int find_root(int fd, const struct guestimg *img, struct place *place, struct error *err)
{
	struct disk_layout l;
	struct stat st;
	int e;

	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "cannot read it");
	*place = (struct place){fd, 0, (uint64_t)st.st_size};
	if (strcmp(img->rootfs.format, "kata") != 0)
		return 0;
	e = disk_layout_read(fd, &l, err);
	if (e > 0)
		return wrong(err, "there is no DAX information block, so it is no disk for Kata");
	if (e < 0)
		return e;
	place->offset = l.root_start;
	place->size = l.root_size;
	if (img->verity.root_hash &&
	    (img->verity.data_offset != l.root_start || img->verity.hash_offset != l.hash_start))
		return wrong(err, "its partitions are not where image.json has data and hash tree");
	return 0;
}

/* ---------------------------------------------------------------- file systems */

/* Each sets how many bytes of the place the file system takes. */

static int check_erofs(const struct place *place, uint64_t *used, struct report *r,
                       struct error *err)
{
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	struct erofs_check_result result = {0};
	const uint8_t *map = NULL;
	int e = place_map(place, &map, err);

	/* Mapped, for the reader looks at whole files or at memory. */
	if (e == 0)
		e = erofs_open_memory(&image, map, place->size, err);
	if (e == 0)
		e = erofs_check(image, &result, err);
	if (e == 0)
		*used = (uint64_t)erofs_super(image)->blocks * VERITY_BLOCK_SIZE;
	erofs_close(steal_ptr(&image));
	place_unmap(place, map);
	report_number(r, "inodes", result.inodes);
	return e;
}

static int check_ext4(const struct place *place, uint64_t *used, struct report *r,
                      struct error *err)
{
	_cleanup_ext4_image_ struct ext4_image *image = NULL;
	struct ext4_summary s;
	int e = ext4_open(&image, place->fd, place->offset, place->size, err);

	if (e == 0)
		e = ext4_check(image, err);
	if (e < 0)
		return e;
	ext4_summarize(image, &s);
	*used = s.blocks * s.block_size;
	report_number(r, "inodes", s.inodes - s.free_inodes);
	if (s.needs_recovery)
		return wrong(err, "its journal has not been replayed: it was written to");
	return 0;
}

static int by_path(const void *key, const void *entry)
{
	return strcmp(key, ((const struct listed *)entry)->path);
}

/* The kernel makes no folders that the archive lacks: what is in one would be lost. */
static int check_initrd(const struct place *place, uint64_t *used, struct report *r,
                        struct error *err)
{
	_cleanup_listing_ struct listing *l = NULL;
	int e = listing_load(place, PROBE_INITRD, LISTING_NAMES, &l, err);

	for (size_t i = 0; e == 0 && i < l->n; i++) {
		const char *slash = strrchr(l->entries[i].path, '/');
		_cleanup_free_ char *dir = NULL;
		const struct listed *parent;

		if (!slash)
			continue;
		dir = strndup(l->entries[i].path, (size_t)(slash - l->entries[i].path));
		if (!dir)
			return error_set(err, ENOMEM, "no memory to check the initrd");
		parent = bsearch(dir, l->entries, l->n, sizeof(*l->entries), by_path);
		if (!parent || !S_ISDIR(parent->mode))
			return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
			                      "the initrd has %.200s, but no folder for it",
			                      l->entries[i].path);
	}
	if (e == 0)
		report_number(r, "inodes", l->n);
	*used = 0;
	return e;
}

static const struct checker {
	const char *type;
	int (*fn)(const struct place *place, uint64_t *used, struct report *r, struct error *err);
} checkers[] = {{"erofs", check_erofs}, {"ext4", check_ext4}, {"initrd", check_initrd}};

/* ---------------------------------------------------------------- the hash tree */

static int check_tree(int fd, const struct guestimg_verity *g, struct error *err)
{
	const struct verity_place place = {fd, g->data_offset, fd, g->hash_offset, false, NULL};
	struct verity v = {.data_blocks = g->data_blocks, .salt_size = 32};
	int e = verity_unhex(g->root_hash, v.root, sizeof(v.root));

	if (e == 0)
		e = verity_unhex(g->salt, v.salt, v.salt_size);
	return e < 0 ? error_set_kind(err, ERROR_INPUT, EINVAL,
	                              "image.json: verity: not hexadecimal digits")
	             : verity_check(&v, &place, err);
}

/* The tree must be over the file system, all of it, and the kernel told of this tree. */
static int check_coverage(const struct guestimg *img, const struct place *root, uint64_t used,
                          struct error *err)
{
	const struct guestimg_verity *v = &img->verity;
	const char *const words[] = {img->rootfs.words_blk, img->rootfs.words_pmem};

	if (v->data_offset != root->offset || v->data_blocks < used / VERITY_BLOCK_SIZE)
		return wrong(err, "the hash tree does not cover the whole file system");
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!words[i] || !strstr(words[i], v->root_hash) || !strstr(words[i], v->salt))
			return wrong(err,
			             "the kernel's words in image.json are for another hash tree");
	return 0;
}

/* The line for Kata's configuration says what image.json says. */
static int check_params(int dir, const struct guestimg *img, struct error *err)
{
	const struct guestimg_verity *v = &img->verity;
	_cleanup_buffer_ struct buffer text = BUFFER_INIT, want = BUFFER_INIT;
	int e;

	if (!guestimg_find(img, ROOT_VERITY_FILE))
		return 0;
	e = fs_read_file(dir, ROOT_VERITY_FILE, PARAMS_MAX, &text, err);
	buffer_printf(&want, "root_hash=%s,salt=%s,data_blocks=%" PRIu64 ",", v->root_hash, v->salt,
	              v->data_blocks);
	if (e < 0)
		return e;
	return strncmp(buffer_cstr(&text), buffer_cstr(&want), want.size) == 0
	           ? 0
	           : wrong(err, ROOT_VERITY_FILE " is for another hash tree");
}

/* ---------------------------------------------------------------- all together */

static int check_place(const struct guestimg *img, const struct place *place, uint64_t *used,
                       struct report *r, struct error *err)
{
	const char *type = img->rootfs.type ?: img->rootfs.format;

	for (size_t i = 0; i < sizeof(checkers) / sizeof(*checkers); i++)
		if (strcmp(checkers[i].type, type) == 0) {
			report_string(r, "type", type);
			return checkers[i].fn(place, used, r, err);
		}
	return error_set_kind(err, ERROR_INPUT, EOPNOTSUPP, "its type %s is not known", type);
}

int verify_root(int dirfd, const struct guestimg *img, struct report *r, struct error *err)
{
	_cleanup_close_ int fd = openat(dirfd, img->rootfs.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct place place;
	uint64_t used = 0;
	int e =
	    fd < 0 ? error_errno(err, errno, "cannot read it") : find_root(fd, img, &place, err);

	report_object(r, "rootfs");
	if (e == 0)
		e = check_place(img, &place, &used, r, err);
	if (e == 0 && img->verity.root_hash) {
		e = check_coverage(img, &place, used, err);
		if (e == 0)
			e = check_tree(fd, &img->verity, err);
		if (e == 0)
			e = check_params(dirfd, img, err);
		report_string(r, "verity", "holds");
	}
	report_end(r);
	if (e == 0)
		return 0;
	/* Its bytes are those of image.json, and yet they are no sound root. */
	if (err && (e == -EUCLEAN || e == -EINVAL || e == -ENODATA))
		err->kind = ERROR_VERIFICATION;
	return error_prefix(err, e, "%s", img->rootfs.file);
}
