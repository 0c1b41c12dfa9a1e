/* SPDX-License-Identifier: Apache-2.0 */
/* diff_contents: the files of two roots, whatever formats they are in. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image-tool/diff.h"
#include "image-tool/listing.h"
#include "lib/base/fs.h"

/* ---------------------------------------------------------------- what is compared */

static int load_place(const struct place *place, struct listing **out, struct error *err)
{
	int e = listing_load_root(place, LISTING_DIGESTS, out, err);

	if (e <= 0)
		return e;
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "it is no root file system (erofs, ext4), initrd or disk with "
	                      "one: there is nothing in it to compare");
}

static int load(const char *path, struct listing **out, uint64_t *size, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int e;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "cannot read %s", path);
	*size = (uint64_t)st.st_size;
	if (S_ISREG(st.st_mode))
		e = load_place(&(struct place){fd, 0, *size}, out, err);
	else
		e = error_set_kind(err, ERROR_INPUT, EINVAL,
		                   "it is neither a file nor an image's "
		                   "folder");
	return e < 0 ? error_prefix(err, e, "%s", path) : 0;
}

/* ---------------------------------------------------------------- two entries */

static void add_word(struct buffer *out, bool differs, const char *word)
{
	if (differs)
		buffer_printf(out, "%s%s", out->size > 0 ? ", " : "", word);
}

/* An initrd holds no xattrs, and files beyond a size have no digests: those say nothing. */
static bool content_differs(const struct listed *a, const struct listed *b)
{
	if (a->has_digest && b->has_digest)
		return memcmp(a->digest, b->digest, sizeof(a->digest)) != 0;
	return a->size != b->size;
}

static void find_differences(const struct listing *la, const struct listed *a,
                             const struct listing *lb, const struct listed *b, struct buffer *out)
{
	bool same_type = (a->mode & S_IFMT) == (b->mode & S_IFMT);
	bool node = S_ISCHR(a->mode) || S_ISBLK(a->mode);
	bool xattrs = la->type != PROBE_INITRD && lb->type != PROBE_INITRD;

	add_word(out, !same_type, "type");
	if (same_type && !S_ISDIR(a->mode))
		add_word(out, content_differs(a, b), "content");
	add_word(out,
	         same_type && node &&
	             (a->rdev_major != b->rdev_major || a->rdev_minor != b->rdev_minor),
	         "device");
	add_word(out, (a->mode & 07777) != (b->mode & 07777), "mode");
	add_word(out, a->uid != b->uid || a->gid != b->gid, "owner");
	add_word(out, a->mtime != b->mtime, "time");
	add_word(out, same_type && !S_ISDIR(a->mode) && a->nlink != b->nlink, "links");
	add_word(out, xattrs && memcmp(a->xattrs, b->xattrs, sizeof(a->xattrs)) != 0, "xattrs");
}

/* a or b may be NULL: the other one was added or removed. */
static void report_change(struct diff *d, const struct listed *a, const struct listed *b,
                          const char *what)
{
	_cleanup_buffer_ struct buffer path = BUFFER_INIT;

	d->counts[DIFF_FILES]++;
	buffer_str(&path, "/");
	report_quote(&path, a ? a->path : b->path);
	if (!a)
		report_item(d->r, "+ %s (%" PRIu64 " bytes)", buffer_cstr(&path), b->size);
	else if (!b)
		report_item(d->r, "- %s (%" PRIu64 " bytes)", buffer_cstr(&path), a->size);
	else if (a->size != b->size)
		report_item(d->r, "~ %s: %s (%" PRIu64 " bytes became %" PRIu64 ")",
		            buffer_cstr(&path), what, a->size, b->size);
	else
		report_item(d->r, "~ %s: %s", buffer_cstr(&path), what);
	report_stringf(d->r, "path", "/%s", a ? a->path : b->path);
	report_string(d->r, "change", !a ? "added" : !b ? "removed" : "changed");
	report_string(d->r, "what", a && b ? what : NULL);
	if (a)
		report_number(d->r, "size_a", a->size);
	if (b)
		report_number(d->r, "size_b", b->size);
	report_end(d->r);
}

int diff_contents(struct diff *d, const char *a, const char *b, struct error *err)
{
	_cleanup_listing_ struct listing *la = NULL, *lb = NULL;
	size_t i = 0, j = 0;
	int e = load(a, &la, &d->size_a, err);

	if (e == 0)
		e = load(b, &lb, &d->size_b, err);
	if (e < 0)
		return e;
	report_list(d->r, "contents");
	while (i < la->n || j < lb->n) {
		int order = i == la->n   ? 1
		            : j == lb->n ? -1
		                         : strcmp(la->entries[i].path, lb->entries[j].path);
		const struct listed *x = order <= 0 ? &la->entries[i++] : NULL;
		const struct listed *y = order >= 0 ? &lb->entries[j++] : NULL;
		_cleanup_buffer_ struct buffer what = BUFFER_INIT;

		/* An initrd need not have its root. */
		if (!*(x ?: y)->path && (!x || !y))
			continue;
		if (x && y)
			find_differences(la, x, lb, y, &what);
		if (!x || !y || what.size > 0)
			report_change(d, x, y, buffer_cstr(&what));
	}
	report_end(d->r);
	return 0;
}
