/* SPDX-License-Identifier: Apache-2.0 */
/* former: reads image.json and image.lock of an image, and finds how another differs. */
#include "image-tool/former.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"

void former_free(struct former *f)
{
	guestimg_free(f->img);
	lock_free(&f->lock);
	*f = (struct former){0};
}

static int load_lock(struct former *f, const char *dir, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/" LOCK_FILE, dir);

	if (!path)
		return error_set(err, ENOMEM, "no memory to read " LOCK_FILE);
	f->has_lock = fs_exists(path);
	return f->has_lock ? lock_load(&f->lock, path, err) : 0;
}

static int load_file(struct former *f, const char *path, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_free_ char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int r = dir ? fs_read_file(AT_FDCWD, path, GUESTIMG_MAX_SIZE, &text, err)
	            : error_set(err, ENOMEM, "no memory to read %s", path);

	if (r < 0 && err && r != -EFBIG)
		err->kind = ERROR_ENVIRONMENT;
	if (r == 0)
		r = guestimg_parse(buffer_cstr(&text), text.size, &f->img, err);
	if (r < 0)
		return r;
	if (slash)
		*slash = 0;
	return load_lock(f, slash ? (slash == dir ? "/" : dir) : ".", err);
}

int former_load(struct former *f, const char *path, struct error *err)
{
	struct stat st;
	int r;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return load_file(f, path, err);
	r = guestimg_load(path, &f->img, err);
	return r < 0 ? r : load_lock(f, path, err);
}

void former_options(const struct former *f, struct build_options *o)
{
	const struct guestimg *img = f->img;

	o->profile = o->profile ?: img->profile;
	if (o->format)
		return;
	o->format = img->rootfs.format;
	if (strcmp(o->format, "kata") == 0)
		o->root_fs = o->root_fs ?: img->rootfs.type;
	o->compress = o->compress ?: img->rootfs.compress;
	o->size = o->size ?: img->rootfs.size;
	o->verity = o->verity || img->verity.root_hash;
}

/* ---------------------------------------------------------------- differences */

struct telling {
	lock_diff_fn fn;
	void *data;
};

static int tell(const struct telling *t, char *line)
{
	_cleanup_free_ char *owned = line;

	return owned ? t->fn(owned, t->data) : -ENOMEM;
}

static int tell_text(const struct telling *t, const char *what, const char *a, const char *b)
{
	a = a ?: "";
	b = b ?: "";
	if (strcmp(a, b) == 0)
		return 0;
	return tell(t, str_printf("%s: %s became %s", what, *a ? a : "(none)", *b ? b : "(none)"));
}

static const struct guestimg_package *find_package(const struct guestimg *img, const char *name)
{
	for (size_t i = 0; i < img->n_packages; i++)
		if (strcmp(img->packages[i].name, name) == 0)
			return &img->packages[i];
	return NULL;
}

static int diff_packages(const struct telling *t, const struct guestimg *a,
                         const struct guestimg *b)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->n_packages; i++) {
		const struct guestimg_package *p = &a->packages[i];
		const struct guestimg_package *q = find_package(b, p->name);

		if (!q)
			r = tell(t, str_printf("package %s %s: is not used any more", p->name,
			                       p->version));
		else if (strcmp(p->version, q->version) != 0)
			r = tell(t, str_printf("package %s: version %s became %s", p->name,
			                       p->version, q->version));
		else if (strcmp(p->sha256 ?: "", q->sha256 ?: "") != 0)
			r = tell(t, str_printf("package %s %s: its source changed", p->name,
			                       p->version));
	}
	for (size_t i = 0; r == 0 && i < b->n_packages; i++)
		if (!find_package(a, b->packages[i].name))
			r = tell(t, str_printf("package %s %s: is new", b->packages[i].name,
			                       b->packages[i].version));
	return r;
}

static int diff_kernel(const struct telling *t, const struct guestimg *a, const struct guestimg *b)
{
	int r = tell_text(t, "kernel version", a->kernel.version, b->kernel.version);

	if (r == 0)
		r = tell_text(t, "kernel compiler", a->kernel.compiler, b->kernel.compiler);
	return r ? r
	         : tell_text(t, "kernel configuration sha256", a->kernel.config_sha256,
	                     b->kernel.config_sha256);
}

static char *size_text(uint64_t size)
{
	return size > 0 ? str_printf("%" PRIu64, size) : strdup("");
}

static int diff_size(const struct telling *t, const struct guestimg *a, const struct guestimg *b)
{
	_cleanup_free_ char *x = size_text(a->rootfs.size), *y = size_text(b->rootfs.size);

	return x && y ? tell_text(t, "--size", x, y) : -ENOMEM;
}

static int diff_words(const struct telling *t, const struct guestimg *a, const struct guestimg *b)
{
	const struct {
		const char *what, *a, *b;
	} words[] = {
	    {"profile", a->profile, b->profile},
	    {"agent", a->agent.version, b->agent.version},
	    {"format", a->rootfs.format, b->rootfs.format},
	    {"file system", a->rootfs.type, b->rootfs.type},
	    {"--compress", a->rootfs.compress, b->rootfs.compress},
	    {"kernel words", a->cmdline, b->cmdline},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(words) / sizeof(*words); i++)
		r = tell_text(t, words[i].what, words[i].a, words[i].b);
	if (r == 0)
		r = diff_size(t, a, b);
	if (r == 0 && a->timestamp != b->timestamp)
		r = tell(
		    t, str_printf("time: %" PRIu64 " became %" PRIu64, a->timestamp, b->timestamp));
	return r;
}

static int diff_files(const struct telling *t, const struct former *f, const struct guestimg *b)
{
	const struct guestimg *a = f->img;
	const char *why = f->has_lock ? ""
	                              : " (which input of it changed, only the former " LOCK_FILE
	                                " could say, and there is none beside image.json)";
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->n_files; i++) {
		const struct guestimg_file *x = &a->files[i], *y = guestimg_find(b, x->name);

		if (!y)
			r = tell(t, str_printf("file %s: is not in the image any more", x->name));
		else if (strcmp(x->sha256, y->sha256) != 0)
			r = tell(t,
			         str_printf("file %s: %" PRIu64 " bytes, sha256 %.16s... became "
			                    "%" PRIu64 " bytes, sha256 %.16s...%s",
			                    x->name, x->size, x->sha256, y->size, y->sha256, why));
	}
	for (size_t i = 0; r == 0 && i < b->n_files; i++)
		if (!guestimg_find(a, b->files[i].name))
			r = tell(t, str_printf("file %s: is new", b->files[i].name));
	return r;
}

int former_diff(const struct former *f, const struct guestimg *img, const struct lock *lock,
                lock_diff_fn fn, void *data)
{
	const struct telling t = {fn, data};
	int r = f->has_lock ? lock_diff(&f->lock, lock, LOCK_ALL, fn, data) : 0;

	if (!f->img)
		return r;
	if (r == 0 && !f->has_lock)
		r = tell_text(&t, "Kihon", f->img->version, img->version);
	/* A lock has said these already, in its own words. */
	if (r == 0 && !f->has_lock)
		r = diff_packages(&t, f->img, img);
	if (r == 0 && !f->has_lock)
		r = diff_kernel(&t, f->img, img);
	if (r == 0)
		r = diff_words(&t, f->img, img);
	return r ? r : diff_files(&t, f, img);
}
