/* SPDX-License-Identifier: Apache-2.0 */
/* oci_files: see the header. */
#include "lib/image/oci_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/arena.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/image/inflate.h"
#include "lib/image/path.h"
#include "lib/image/tar.h"

#define READ_SIZE    (256u * 1024)
#define UNPACKED_MAX (1ULL << 40) /* bytes of an archive without its compression */
#define NAMES_MAX    (32u << 20)  /* bytes that names may take */
#define LINKS_MAX    8

struct member {
	const char *name; /* normal: no "./", no ".." */
	const char *link; /* of a link: where it leads, normal; NULL of a file */
	uint64_t offset, size;
};

struct oci_files {
	int dir; /* -1: an archive */
	int fd;  /* the archive, unpacked */
	struct arena arena;
	struct member *members; /* owned */
	size_t n, room;
};

void oci_files_close(struct oci_files *f)
{
	if (!f)
		return;
	close_fd(&f->dir);
	close_fd(&f->fd);
	arena_free(&f->arena);
	free(f->members);
	free(f);
}

static struct oci_files *new_files(void)
{
	struct oci_files *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->dir = f->fd = -1;
	f->arena = arena_init(NAMES_MAX);
	return f;
}

static int cannot_open(const char *path, int errnum, struct error *err)
{
	int r = error_errno(err, errnum, "cannot open %s", path);

	if (err)
		err->kind = errnum == ENOENT ? ERROR_INPUT : ERROR_ENVIRONMENT;
	return r;
}

int oci_files_open_dir(const char *dir, struct oci_files **out, struct error *err)
{
	_cleanup_oci_files_ struct oci_files *f = new_files();

	if (!f)
		return error_set(err, ENOMEM, "out of memory");
	f->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (f->dir < 0)
		return cannot_open(dir, errno, err);
	*out = steal_ptr(&f);
	return 0;
}

/* ---- looking through an archive */

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

static struct member *find_member(const struct oci_files *f, const char *name)
{
	/* The later one counts. */
	for (size_t i = f->n; i-- > 0;)
		if (!strcmp(f->members[i].name, name))
			return &f->members[i];
	return NULL;
}

static int add_member(struct oci_files *f, const char *name, const char *link, struct error *err)
{
	if (f->n == OCI_FILES_MAX)
		return error_set_kind(err, ERROR_INPUT, E2BIG,
		                      "the archive has more than %d files: it holds no image",
		                      OCI_FILES_MAX);
	if (f->n == f->room) {
		size_t room = f->room ? 2 * f->room : 64;
		struct member *m = reallocarray(f->members, room, sizeof(*m));

		if (!m)
			return no_memory(err);
		f->members = m;
		f->room = room;
	}
	f->members[f->n++] = (struct member){.name = arena_strdup(&f->arena, name),
	                                     .link = arena_strdup(&f->arena, link)};
	return f->arena.failed ? no_memory(err) : 0;
}

/* A symbolic link's target counts from its folder, a hard link's from the archive's root. */
static int link_target(const struct image_path *from, const struct tar_entry *e,
                       struct image_path *to, struct error *err)
{
	if (e->type == TAR_HARDLINK)
		return image_path_set(to, e->link, err);
	*to = *from;
	image_path_up(to);
	return image_path_add(to, e->link, err);
}

static int on_entry(void *data, const struct tar_entry *e, struct error *err)
{
	struct oci_files *f = data;
	struct image_path name, target;
	int r = image_path_set(&name, e->path, err);

	if (r || e->type == TAR_DIR)
		return r;
	if (e->type == TAR_FILE)
		return add_member(f, name.text, NULL, err);
	if (e->type != TAR_SYMLINK && e->type != TAR_HARDLINK)
		return 0;
	r = link_target(&name, e, &target, err);
	return r ? r : add_member(f, name.text, target.text, err);
}

static int on_content(void *data, const uint8_t *p, uint64_t n, struct error *err)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "the archive has a sparse file, which no image's archive has");
}

static int on_end(void *data, struct error *err)
{
	return 0;
}

/* Feeds headers, passes content over and notes where it is. */
static int scan(struct oci_files *f, struct tar *tar, uint64_t size, struct error *err)
{
	uint8_t block[TAR_BLOCK];
	uint64_t at = 0;

	while (at < size) {
		/* Up to the end of a block, where a header ends: content begins behind it. */
		size_t n = sizeof(block) - (size_t)(at % sizeof(block)), known = f->n;
		uint64_t skip;
		int r;

		n = size - at < n ? (size_t)(size - at) : n;
		r = fs_pread_all(f->fd, block, n, at);
		if (r)
			return error_errno(err, -r, "cannot read");
		r = tar_feed(tar, block, n, err);
		if (r)
			return r;
		at += n;
		skip = tar_content_left(tar);
		if (f->n > known) {
			f->members[known].offset = at;
			f->members[known].size = skip;
		}
		if (skip > size - at)
			return error_set_kind(err, ERROR_INPUT, ENODATA,
			                      "the archive ends inside of \"%.100s\"",
			                      f->n ? f->members[f->n - 1].name : "a file");
		r = tar_skip(tar, skip, err);
		if (r)
			return r;
		at += skip;
	}
	return tar_end(tar, err);
}

static int scan_archive(struct oci_files *f, struct error *err)
{
	static const struct tar_sink sink = {on_entry, on_content, on_end};
	static const struct tar_limits limits = {
	    .max_size = UINT64_MAX, .max_entries = OCI_FILES_MAX, .max_header = 1 << 20};
	_cleanup_tar_ struct tar *tar = NULL;
	struct stat st;
	int r;

	if (fstat(f->fd, &st) < 0)
		return error_errno(err, errno, "cannot read");
	r = tar_new(&sink, f, &limits, &tar, err);
	return r ? r : scan(f, tar, (uint64_t)st.st_size, err);
}

/* ---- compressed archives */

struct unpack {
	int fd;
	uint64_t size;
};

static int on_plain(void *data, const uint8_t *p, size_t n, struct error *err)
{
	struct unpack *u = data;
	int r;

	if (n > UNPACKED_MAX - u->size)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "the archive unpacks to more than a TiB");
	r = fs_pwrite_all(u->fd, p, n, u->size);
	u->size += n;
	if (!r)
		return 0;
	error_errno(err, -r, "cannot unpack it into a temporary file");
	if (err)
		err->kind = ERROR_ENVIRONMENT;
	return r;
}

static int temp_file(struct error *err)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	if (str_empty(dir))
		dir = "/var/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	error_errno(err, errno, "cannot make a temporary file in %s", dir);
	if (err)
		err->kind = ERROR_ENVIRONMENT;
	return err ? err->code : -EIO;
}

static int feed_inflate(void *data, const uint8_t *p, size_t n, struct error *err)
{
	return inflate_feed(data, p, n, err);
}

static int unpack_archive(struct oci_files *f, enum image_compression how, struct error *err)
{
	_cleanup_inflate_ struct inflate *z = NULL;
	_cleanup_close_ int plain = temp_file(err);
	struct unpack u = {.fd = plain};
	struct oci_range all = {.fd = f->fd};
	struct stat st;
	int r;

	if (plain < 0)
		return plain;
	if (fstat(f->fd, &st) < 0)
		return error_errno(err, errno, "cannot read");
	all.size = (uint64_t)st.st_size;
	r = inflate_new(how, on_plain, &u, &z, err);
	if (!r)
		r = oci_range_read(&all, feed_inflate, z, err);
	if (!r)
		r = inflate_end(z, err);
	if (r)
		return r;
	close_fd(&f->fd);
	f->fd = steal_fd(&plain);
	return 0;
}

static int detect(int fd, enum image_compression *how, struct error *err)
{
	static const struct {
		uint8_t bytes[6];
		size_t n;
		enum image_compression how;
	} magic[] = {
	    {{0x1f, 0x8b}, 2, IMAGE_GZIP},
	    {{0x28, 0xb5, 0x2f, 0xfd}, 4, IMAGE_ZSTD},
	};
	uint8_t head[TAR_BLOCK] = {0};

	if (pread(fd, head, sizeof(head), 0) < 0)
		return error_errno(err, errno, "cannot read");
	if (!memcmp(head,
	            "\xfd"
	            "7zXZ",
	            5) ||
	    !memcmp(head, "BZh", 3))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "compressed with xz or bzip2: only gzip and zstd are read");
	*how = IMAGE_PLAIN;
	for (size_t i = 0; i < sizeof(magic) / sizeof(magic[0]); i++)
		if (!memcmp(head, magic[i].bytes, magic[i].n))
			*how = magic[i].how;
	return 0;
}

static int open_archive(struct oci_files *f, const char *file, struct error *err)
{
	enum image_compression how = IMAGE_PLAIN;
	struct stat st;
	int r;

	f->fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (f->fd < 0)
		return cannot_open(file, errno, err);
	if (fstat(f->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is not a regular file", file);
	r = detect(f->fd, &how, err);
	if (!r && how != IMAGE_PLAIN)
		r = unpack_archive(f, how, err);
	if (!r)
		r = scan_archive(f, err);
	return r ? error_prefix(err, r, "%s", file) : 0;
}

int oci_files_open_archive(const char *file, struct oci_files **out, struct error *err)
{
	_cleanup_oci_files_ struct oci_files *f = new_files();
	int r = f ? open_archive(f, file, err) : no_memory(err);

	if (!r)
		*out = steal_ptr(&f);
	return r;
}

/* ---- reading */

static int find_in_dir(const struct oci_files *f, const char *name, struct oci_range *out,
                       struct error *err)
{
	/* A fifo in a file's place must not hold us up. */
	_cleanup_close_ int fd =
	    fs_open_in_root(f->dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
	struct stat st;

	if (fd == -ENOENT || fd == -ENOTDIR)
		return 1;
	if (fd < 0)
		return error_errno(err, -fd, "cannot open %s", name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 1;
	*out = (struct oci_range){.own = true, .size = (uint64_t)st.st_size};
	out->fd = steal_fd(&fd);
	return 0;
}

int oci_files_find(const struct oci_files *f, const char *name, struct oci_range *out,
                   struct error *err)
{
	const struct member *m;

	*out = (struct oci_range){.fd = -1};
	if (f->dir >= 0)
		return find_in_dir(f, name, out, err);
	m = find_member(f, name);
	for (int i = 0; m && m->link && i < LINKS_MAX; i++)
		m = find_member(f, m->link);
	if (!m || m->link)
		return 1;
	*out = (struct oci_range){.fd = f->fd, .offset = m->offset, .size = m->size};
	return 0;
}

void oci_range_close(struct oci_range *r)
{
	if (r->own)
		close_fd(&r->fd);
	r->own = false;
}

int oci_range_read(const struct oci_range *r, oci_bytes_fn fn, void *data, struct error *err)
{
	_cleanup_free_ uint8_t *buf = malloc(READ_SIZE);
	uint64_t done = 0;

	if (!buf)
		return no_memory(err);
	while (done < r->size) {
		size_t n = r->size - done < READ_SIZE ? (size_t)(r->size - done) : READ_SIZE;
		int e = fs_pread_all(r->fd, buf, n, r->offset + done);

		if (e)
			return error_errno(err, -e, "cannot read");
		e = fn(data, buf, n, err);
		if (e)
			return e;
		done += n;
	}
	return 0;
}

static int take(void *data, const uint8_t *p, size_t n, struct error *err)
{
	struct buffer *b = data;

	buffer_append(b, p, n);
	return b->failed ? no_memory(err) : 0;
}

int oci_files_read(const struct oci_files *f, const char *name, size_t max, struct buffer *out,
                   struct error *err)
{
	_cleanup_oci_range_ struct oci_range range = {.fd = -1};
	int r = oci_files_find(f, name, &range, err);

	if (r)
		return r;
	if (range.size > max)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "%s is of %llu bytes: at most %zu are read", name,
		                      (unsigned long long)range.size, max);
	r = oci_range_read(&range, take, out, err);
	return r ? error_prefix(err, r, "%s", name) : 0;
}
